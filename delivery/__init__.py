"""Programs behind `make deploy`, `make audit`, `make scale`, `make wheel` and `make wheelhouse`.

None of them is part of what is deployed or installed.
"""
