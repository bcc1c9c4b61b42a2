"""The stores: DynamoDB, SQS and memory behind the ports. The only place that knows botocore.

Its modules are its face: only composition roots import them, each the ones it needs, since importing costs init time.
"""
