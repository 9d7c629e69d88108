"""ClickHouse's native protocol in front of the in-process engine (chDB), for one machine.

__main__   command line, exit codes
server     accepts connections, one thread each; stops cleanly
session    one client's conversation: handshake, queries, inserts
watch      cancels and vanished clients while a query runs; keeps waiting clients alive
engine     one engine connection per client; errors with their ClickHouse code
statement  what kind of statement a text is, without parsing all of SQL
native     where a Native block ends, by its column types
wire       integers and strings of the protocol, bounded
packets    packets as bytes and as values
"""
