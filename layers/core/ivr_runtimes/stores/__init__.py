"""The stores: DynamoDB, SQS and memory behind the ports. In the core, only these know botocore.

Only composition roots import its modules, each just those it needs, since importing costs init time.
"""
