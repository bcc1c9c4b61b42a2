"""The stores: DynamoDB, SQS and memory behind the ports. The only place that knows botocore.

Only composition roots import its modules, each just those it needs, since importing costs init time.
"""
