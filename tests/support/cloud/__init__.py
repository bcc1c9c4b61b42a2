"""The emulated AWS of `make deploy-check`: ministack, with what our template needs and it lacks filled in.

`python -m cloud` runs it. Each module owns one rule of AWS, names its page and knows nothing of ministack; `plug` alone
does. What all this cannot prove is in tests/deploy/README.md.
"""
