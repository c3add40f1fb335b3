//! Portuguese, as written in Brazil.

use super::{Argument, Command, Locale, figure};
use crate::program::HelpWords;
use crate::rpc::Fault;

/// Portuguese.
pub const PORTUGUESE: Locale = Locale {
    code: "pt",
    help: HelpWords {
        about: Some("Conversa no terminal; os comandos: help no chat. O resto: man chat-client"),
        usage: "Uso",
        options_word: "OPÇÕES",
        arguments: Some("[send TEXTO | tail]"),
        options: "Opções",
        default: "padrão",
        examples: "Exemplos",
        example: |command| {
            Some(match command {
                "client --local" => "inicia o chat ou entra nele",
                "client send --user bot --room ops \"deployed\"" => "envia e termina",
                _ => return None,
            })
        },
        option: |long| {
            Some(match long {
                "binder" => "O binder a consultar.",
                "server" => "O servidor, sem binder.",
                "local" => "Inicia também binder e servidor, se não houver.",
                "user" => "O nome de usuário; sem ele, o cliente pergunta.",
                "room" => "Entra nesta sala ao começar.",
                "secret-file" => "O segredo do nome; sem ele, é criado um.",
                "lang" => "Idioma: en ou pt; senão, o do sistema.",
                "color" => "Cores: auto, always ou never.",
                "plain" => "Só linhas simples, para leitores de tela.",
                "bell" => "Toca a campainha ao ser chamado.",
                "json" => "Mensagens como objetos JSON, um por linha.",
                "config" => "Lê opções de FILE, \"nome = valor\" por linha.",
                "log-level" => "O quanto registrar, de off a trace.",
                "help" => "Mostra esta ajuda.",
                "version" => "Mostra a versão.",
                _ => return None,
            })
        },
    },

    ask_name: "Nome de usuário: ",
    ask_room: "Nome da sala: ",
    ask_text: "Mensagem: ",
    ask_recipient: "Destinatário (vazio para todos): ",
    ask_user: "Usuário: ",
    ask_paste: |lines| format!("Enviar estas {lines} linhas? [s/N] "),
    yes: &["s", "sim", "y", "yes"],
    paste_dropped: "Não enviado.",

    welcome: |name| format!("Boas-vindas, {name}. Todos os comandos: help"),
    where_to: "Você ainda não está em nenhuma sala. Entre em uma com: join SALA (list mostra quais há, create SALA cria uma)",
    joined: |room, others| format!("Você entrou em {room}. Também aqui: {others}"),
    joined_alone: |room| format!("Você entrou em {room}. Ainda não há mais ninguém aqui."),
    left: |room| format!("Você saiu de {room}."),
    created: |room| format!("A sala {room} foi criada. Entre nela com: join {room}"),
    rooms: |rooms| format!("Salas: {rooms}"),
    no_rooms: "Ainda não há salas. Crie uma com: create SALA",
    users: |users| format!("Usuários: {users}"),
    no_users: "Não há ninguém lá.",
    no_history: "Ainda não há mensagens.",
    whoami: |name, room| match room {
        Some(room) => format!("Você é {name}, em {room}."),
        None => format!("Você é {name}, em nenhuma sala."),
    },
    ignored: |name| format!("Você não verá o que {name} diz, até digitar /ignore {name} de novo."),
    unignored: |name| format!("Você verá de novo o que {name} diz."),
    ignoring: |names| format!("Ignorados: {names}"),
    ignoring_nobody: "Você não ignora ninguém.",

    came: |names, several| format!("{names} {}", if several { "entraram" } else { "entrou" }),
    went: |names, several| format!("{names} {}", if several { "saíram" } else { "saiu" }),
    and_more: |names, more| format!("{names} e mais {more}"),
    missed: |count| match count {
        1 => "1 mensagem foi descartada pelo servidor antes que você pudesse lê-la.".into(),
        _ => format!("{count} mensagens foram descartadas pelo servidor antes que você pudesse lê-las."),
    },
    private: "em particular",
    private_to: |name| format!("em particular para {name}"),
    delivered: "entregue",
    not_sent: |text, why| format!("Não enviado: {text} ({why})"),
    unsent: |text| format!("Não enviado: {text}"),
    given_back: "      A seta para cima traz o texto de volta.",

    lost: "conexão perdida",
    retrying: |seconds| format!("nova tentativa em {seconds} s"),
    back: |time, caught_up| match caught_up {
        0 => format!("conectado de novo às {time}"),
        1 => format!("conectado de novo às {time}, 1 mensagem recuperada"),
        _ => format!("conectado de novo às {time}, {caught_up} mensagens recuperadas"),
    },
    forgotten: |room| {
        format!("o servidor esqueceu {room}, e o que foi dito antes se perdeu; a sala foi criada de novo")
    },
    ended: |cause| format!("A sessão terminou: {cause}"),
    over: "a sessão acabou",

    fault: |fault| match fault.code {
        Fault::NAME_IN_USE => "este nome já está em uso".into(),
        Fault::NO_SUCH_USER => "não existe esse usuário".into(),
        Fault::NO_SUCH_ROOM => "não existe essa sala; list mostra as salas, create SALA cria uma".into(),
        Fault::ROOM_EXISTS => "essa sala já existe; entre nela com join".into(),
        Fault::NOT_IN_ROOM => "você não está nessa sala".into(),
        Fault::NO_SUCH_RECIPIENT => "esse usuário não está na sala".into(),
        Fault::BAD_NAME => format!("este nome não é permitido ({})", fault.message),
        Fault::LIMIT => match figure(&fault.message) {
            Some(limit) => format!("longo demais ou em excesso; o limite é {limit} ({})", fault.message),
            None => format!("longo demais ou em excesso ({})", fault.message),
        },
        Fault::NOT_AUTHORISED => "este nome pertence a outra pessoa".into(),
        Fault::TOO_FAST => match figure(&fault.message) {
            Some(seconds) => format!("rápido demais; tente de novo em {seconds} s"),
            None => "rápido demais; tente de novo mais tarde".into(),
        },
        Fault::NO_SUCH_PROCEDURE => "o servidor não sabe fazer isso".into(),
        Fault::INTERNAL => "erro interno do servidor".into(),
        _ => fault.message.clone(),
    },
    error: |text| format!("Erro: {text}"),
    unreachable: |cause| format!("não foi possível falar com o servidor ({cause})"),
    nobody_offers: "não há nenhum servidor de chat registrado no binder",
    out_of_reach: |server, port| {
        format!(
            "o servidor de chat em {server} só atende a própria máquina; para atender outras, inicie-o com \
             --listen 0.0.0.0:{port}"
        )
    },
    in_no_room: "você não está em nenhuma sala; entre em uma com: join SALA",
    nobody_to_reply: "ninguém escreveu a você em particular ainda",
    not_a_number: "isto não é um número",
    unknown: |word, nearest| match nearest {
        Some(nearest) => format!("Não existe o comando {word}. Você quis dizer {nearest}?"),
        None => format!("Não existe o comando {word}. Todos os comandos: help"),
    },

    help_more: "O resto vai para a sala; @NOME TEXTO, só para um usuário; //TEXTO começa com uma barra.",
    example: "Exemplo",
    also: "também",
    command: |verb| match verb {
        Command::Create => "cria uma sala",
        Command::Join => "entra em uma sala e sai da anterior",
        Command::Leave => "sai da sala",
        Command::Send => "diz algo a todos ou, com @NOME, só a um usuário",
        Command::Msg => "diz algo só a um usuário",
        Command::Reply => "responde à última mensagem particular",
        Command::List => "mostra as salas",
        Command::Users => "mostra quem está em uma sala",
        Command::History => "mostra o que foi dito: as últimas 20 mensagens ou quantas você pedir",
        Command::Whoami => "mostra o seu nome e a sua sala",
        Command::Ignore => "esconde o que um usuário diz ou volta a mostrar",
        Command::Help => "explica os comandos ou um deles",
        Command::Exit => "sai do chat",
    },
    takes: |takes| match takes {
        Argument::Room => "SALA",
        Argument::User => "USUÁRIO",
        Argument::Text => "TEXTO",
        Argument::Count => "QUANTAS",
        Argument::Command => "COMANDO",
    },

    date: |weekday, day, month, year| format!("{weekday}, {day} de {month} de {year}"),
    weekdays: ["segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"],
    months: [
        "janeiro",
        "fevereiro",
        "março",
        "abril",
        "maio",
        "junho",
        "julho",
        "agosto",
        "setembro",
        "outubro",
        "novembro",
        "dezembro",
    ],
};
