//! The table of the server's options.

use crate::config::DEFAULT_BIND;
use crate::usage::{Group, Opt, Program, choice, file, flag, value};

/// The server and its options.
pub(super) const SERVER: Program = Program {
    name: "reactor-chat",
    manual: 8,
    purpose: "chat relay with rooms over TCP and messages over UDP",
    introduction: "\
A chat room relay: rooms are created and joined over TCP, messages travel over UDP. Without options it \
serves this machine only. To serve others:
  reactor-chat --bind 0.0.0.0",
    commands: &[],
    groups: &[
        Group { title: "Addresses", options: ADDRESSES },
        Group { title: "Encryption of the connections", options: ENCRYPTION },
        Group { title: "Browsers", options: BROWSERS },
        Group { title: "Chat", options: CHAT },
        Group { title: "History for members with stream delivery", options: HISTORY },
        Group {
            title: "Limits (0 disables a limit; an IPv6 /64 or a Unix user counts as one IP)",
            options: LIMITS,
        },
        Group {
            title: "Log, to stderr (RUST_LOG, such as RUST_LOG=debug, overrides these)",
            options: LOG,
        },
        Group { title: "Before a start or a restart", options: CHECK },
    ],
    hidden: &[choice(HIDDEN, &["mmsg", "portable"], "the calls for datagrams")],
    column: 26,
    remarks: "\
SIGINT or SIGTERM ends the server after it has told every room; a second one ends it at once. Either stays \
ignored if it is ignored at the start. SIGHUP makes it read its certificate and key again, and SIGUSR1 \
logs the counters.",
    variables: &[
        ("RUST_LOG", "the level of the log, such as debug, in place of --quiet and --verbose"),
        ("STATE_DIRECTORY", "the state directory, which systemd sets for a unit with StateDirectory="),
        ("XDG_STATE_HOME", "the directory above the state directory, if there is no STATE_DIRECTORY"),
        ("HOME", "the home directory, if neither of them is set"),
        ("JOURNAL_STREAM", "set by systemd; the lines of the log then have priorities and no time stamps"),
        ("LISTEN_FDS, LISTEN_PID", "set by systemd; the sockets of a socket unit replace those of --bind"),
        ("NOTIFY_SOCKET", "set by systemd; the socket on which it learns the state of the server"),
        ("WATCHDOG_USEC, WATCHDOG_PID", "set by systemd, which restarts a server that is stuck this long"),
    ],
    files: &[
        ("$STATE_DIRECTORY/key.pem", "the key that the server has made. Its fingerprint is what clients know"),
        ("$XDG_STATE_HOME/reactor-chat/key.pem", "its place without STATE_DIRECTORY"),
        ("~/.local/state/reactor-chat/key.pem", "its place without either of them"),
    ],
    statuses: &[
        ("0", "after one signal, or if --check finds no mistake"),
        ("1", "if it cannot listen"),
        ("2", "if an option, an address or a certificate is wrong, also with --check"),
        ("128 plus its number", "after a second signal"),
    ],
    examples: &[
        ("Check the options of a unit before a restart", "reactor-chat --check --bind 0.0.0.0 --bind ::"),
        ("Serve every IPv4 and IPv6 address of the machine", "reactor-chat --bind 0.0.0.0 --bind ::"),
        (
            "Serve the users of a group of this machine only",
            "reactor-chat --bind unix:/run/reactor-chat/socket",
        ),
        (
            "Show the certificate of a public authority",
            "reactor-chat --bind 0.0.0.0 --cert fullchain.pem --key privkey.pem",
        ),
    ],
    see_also: &[("reactor-chat-client", 1), ("systemd.service", 5)],
};

/// An option for tests and measurements, which is documented nowhere.
pub(super) const HIDDEN: &str = "datagram-path";

const ADDRESSES: &[Opt] = &[
    value(
        "bind",
        "ADDR",
        "IPv4 or IPv6 address or host name to listen on, or a Unix socket: unix:PATH, or unix:@NAME for an \
         abstract name; may be given several times",
    )
    .repeated()
    .default(DEFAULT_BIND),
    value("unix-mode", "MODE", "permissions of the files of Unix sockets, in octal").default("660"),
    value("tcp-port", "PORT", "port for rooms; 0 picks a free one").default("9001"),
    value("udp-port", "PORT", "port for messages; 0 picks a free one").default("9002"),
];

const ENCRYPTION: &[Opt] = &[
    choice(
        "tls",
        &["on", "off", "required"],
        "accept TLS 1.3 on the TCP port, beside cleartext; off accepts none; required refuses cleartext",
    )
    .default("on"),
    file(
        "cert",
        "FILE",
        "certificate in PEM; without it the server makes its own, from a key in its state directory",
    ),
    file("key", "FILE", "private key of the certificate, in PEM"),
];

const BROWSERS: &[Opt] = &[
    choice("web", &["on", "off"], "serve the pages for browsers on the TCP port").default("on"),
    choice(
        "webtransport",
        &["on", "off"],
        "let browsers send messages over the UDP port, by QUIC; off leaves them TCP",
    )
    .default("on"),
    value(
        "allow-host",
        "NAME",
        "a further name of this server in the URLs of browsers; may be given several times",
    )
    .repeated(),
    value(
        "allow-origin",
        "ORIGIN",
        "a site whose pages may use this server, such as https://chat.example.org; may be given several times",
    )
    .repeated(),
    value(
        "status-from",
        "SUBNET",
        "a network that may see /loop, /metrics and /healthz, as this machine may, such as 10.0.0.0/8; may be \
         given several times",
    )
    .repeated(),
];

const CHAT: &[Opt] = &[
    choice("lang", &["en", "ja"], "language of the notices").default("en"),
    choice(
        "host-leaves",
        &["close", "pass"],
        "when a room's host leaves, close the room, or make the member that joined first the host",
    )
    .default("close"),
    value(
        "idle-timeout",
        "SECONDS",
        "remove a member that sends nothing for this long; our client sends every 20 s; 0 disables",
    )
    .default("300"),
    value(
        "replace-silent",
        "SECONDS",
        "a join with the same name and IP replaces a member silent for this long; a carried member whose \
         connection ends may return within it; 0 disables",
    )
    .default("30"),
];

const HISTORY: &[Opt] = &[
    value("room-history", "BYTES", "per room, 4096 to 1073741824").default("1048576"),
    value(
        "history-memory",
        "BYTES",
        "for all rooms together; the largest shrink first; 0 disables the limit",
    )
    .default("67108864"),
];

const LIMITS: &[Opt] = &[
    value("max-rooms", "N", "rooms in total").default("10000"),
    value("max-rooms-ip", "N", "rooms created per IP").default("500"),
    value("max-members", "N", "members in total").default("100000"),
    value("max-members-ip", "N", "members per IP").default("10000"),
    value(
        "max-room-members",
        "N",
        "members per room, whatever capacity its creator requests",
    )
    .default("10000"),
    value(
        "max-unproved",
        "N",
        "members per IP that have sent no datagram yet and have no connection, or have only announced \
         a UDP port; the oldest is removed",
    )
    .default("32"),
    value("wrong-passwords", "N", "wrong passwords per IP and minute").default("20"),
    value(
        "rate-limit",
        "MSGS",
        "messages and commands per member and second; a burst may use five seconds' worth",
    )
    .default("20"),
    value(
        "fanout-limit",
        "BYTES",
        "per member and second, the bytes of its messages times the members of the room; bursts likewise",
    )
    .default("16777216"),
    value(
        "max-connections",
        "N",
        "connections; at the limit, a new one replaces the one that has been idle longest",
    )
    .default("10000"),
    value("max-connections-ip", "N", "connections per IP").default("1000"),
    value(
        "max-carried",
        "N",
        "members in total whose messages travel on their connections",
    )
    .default("half of --max-connections"),
    value(
        "max-payload",
        "BYTES",
        "payload of a request, and size of the room list; 0 selects the protocol's 536870912",
    )
    .default("65536"),
    value(
        "backlog-memory",
        "BYTES",
        "unsent output of all rooms together; above it each room may hold 8 KiB",
    )
    .default("67108864"),
    value(
        "buffer-memory",
        "BYTES",
        "buffers of all connections together; above it each connection may hold 4 KiB",
    )
    .default("67108864"),
    value("connect-timeout", "SECONDS", "for the first byte of a request").default("120"),
    value(
        "handshake-timeout",
        "SECONDS",
        "for a whole request from its first byte, and for the peer to read its reply",
    )
    .default("10"),
];

const LOG: &[Opt] = &[
    flag("quiet", "warnings and errors only").short("q"),
    flag("verbose", "also every request").short("v"),
];

const CHECK: &[Opt] = &[flag(
    "check",
    "check options, addresses, certificate and permissions; print addresses, fingerprint, limits and memory; \
     change nothing, and exit",
)];
