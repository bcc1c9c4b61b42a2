"""The bridge to FreeSWITCH: IVR scripts listed and stopped over the inbound Event Socket (docs/freeswitch.md)."""
