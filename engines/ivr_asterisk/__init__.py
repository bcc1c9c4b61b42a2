"""A bridge to Asterisk: its dialplan scripts are listed and stopped through AMI (docs/asterisk.md)."""
