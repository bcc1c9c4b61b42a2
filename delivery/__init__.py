"""Programs behind `make deploy`, `make audit` and `make scale`. None of them is part of what is deployed."""
