"""The published figures and the programs that measure them (benchmarks/README.md).

Owns nothing of the product: functions are driven through their handler, their environment and the wire, as Lambda and
DynamoDB would, so that whatever implementation stands is measured. Never judges a figure. Run by `make bench-*`.
"""
