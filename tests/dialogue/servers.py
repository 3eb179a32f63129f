"""The settings with which ours is started for cases that need other limits than the default."""

# Case.server: settings. "ours" stands for the default ones, and is not asked of other servers.
SERVERS = {
    "default": {},
    "small": {
        "smtp.max_message_octets": 65536,
        "smtp.max_recipients": 5,
        "smtp.max_messages_per_connection": 4,
        "smtp.max_errors": 5,
        "smtp.max_hops": 10,
        "smtp.max_header_octets": "4KiB",
    },
    "waiting": {"smtp.greeting_delay": "1m"},
    "hasty commands": {"smtp.command_timeout": "1s"},
    "hasty content": {"smtp.data_timeout": "1s"},
}
