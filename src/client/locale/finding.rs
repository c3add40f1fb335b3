//! The texts about where the chat is, in each language.

/// The texts of one language.
#[derive(Debug)]
pub struct FindingWords {
    /// The network is asked, which takes a moment.
    pub looking: &'static str,
    /// A binder was found and is taken.
    pub found: fn(name: &str, address: &str) -> String,
    /// This process shares the chat with the network, for browsers at this address.
    pub sharing: fn(page: &str) -> String,
    /// Asks for a number in the list of binders.
    pub choose: &'static str,
    /// There are several binders, and nobody to ask.
    pub several: fn(addresses: &str) -> String,
    /// There is none, and the ways on.
    pub nothing: &'static str,
    /// This build has no TLS; a tunnel to the address, whose certificate is for the host, helps.
    pub without_tls: fn(address: &str, host: &str) -> String,
    /// Another program has a port.
    pub port_taken: fn(port: u16) -> String,
    /// The server on a port does not belong to the binder.
    pub not_registered: fn(port: u16) -> String,
    /// The machine that shared the chat is gone.
    pub host_gone: &'static str,
}

/// The line that tunnels 127.0.0.1:9443 to `address`, and checks that it has a certificate for `host`.
fn stunnel(address: &str, host: &str) -> String {
    let check = if host.parse::<std::net::IpAddr>().is_ok() { "checkIP" } else { "checkHost" };
    format!(
        "printf '%s\\n' foreground=yes '[chat]' client=yes accept=127.0.0.1:9443 connect={address} verifyChain=yes \
         CAfile=/etc/ssl/certs/ca-certificates.crt {check}={host} | stunnel -fd 0"
    )
}

/// English.
pub const ENGLISH: FindingWords = FindingWords {
    looking: "No chat on this machine; looking around in the network.",
    found: |name, address| format!("Found the chat of {name} at {address}."),
    sharing: |page| {
        format!("The chat is on this machine. Others in this network join it with client, or in a browser at {page}")
    },
    choose: "Which one? [1] ",
    several: |addresses| format!("there are several chats in this network; choose one with --binder: {addresses}"),
    nothing: "no chat found; start one with --local (or --share, for the whole network), or say where it is with \
              --binder HOST:PORT or --server HOST:PORT",
    without_tls: |address, host| {
        format!(
            "this client is built without TLS; let stunnel do it, and use 127.0.0.1:9443 instead: {}",
            stunnel(address, host)
        )
    },
    port_taken: |port| {
        format!(
            "port {port} is in use by a program that is not of this chat; stop it, or use a chat elsewhere with --binder \
             HOST:PORT or --server HOST:PORT"
        )
    },
    not_registered: |port| {
        format!(
            "the chat server on port {port} is not registered with the binder of this machine; reach it with --server \
             127.0.0.1:{port}"
        )
    },
    host_gone: "the machine that shared the chat is gone; looking around",
};

/// Brazilian Portuguese.
pub const PORTUGUESE: FindingWords = FindingWords {
    looking: "Não há chat nesta máquina; procurando na rede.",
    found: |name, address| format!("Encontrado o chat de {name} em {address}."),
    sharing: |page| {
        format!("O chat está nesta máquina. Outros nesta rede entram com client, ou no navegador em {page}")
    },
    choose: "Qual? [1] ",
    several: |addresses| format!("há vários chats nesta rede; escolha um com --binder: {addresses}"),
    nothing: "nenhum chat encontrado; inicie um com --local (ou --share, para toda a rede), ou diga onde está com \
              --binder HOST:PORTA ou --server HOST:PORTA",
    without_tls: |address, host| {
        format!(
            "este cliente foi compilado sem TLS; use o stunnel, e 127.0.0.1:9443 no lugar: {}",
            stunnel(address, host)
        )
    },
    port_taken: |port| {
        format!(
            "a porta {port} está em uso por um programa que não é deste chat; encerre-o, ou use um chat em outro lugar com \
             --binder HOST:PORTA ou --server HOST:PORTA"
        )
    },
    not_registered: |port| {
        format!(
            "o servidor de chat na porta {port} não está registrado no binder desta máquina; use --server 127.0.0.1:{port}"
        )
    },
    host_gone: "a máquina que compartilhava o chat se foi; procurando",
};
