//! Portuguese, as written in Brazil.

use super::{Argument, Command, Locale, figure, stunnel};
use crate::program::HelpWords;
use crate::rpc::Fault;

/// Portuguese.
pub(super) static PORTUGUESE: Locale = Locale {
    code: "pt",
    help: HelpWords {
        about: Some("Chat no terminal. Para scripts: client send --help. Mais: man chat-client"),
        usage: "Uso",
        options_word: "OPÇÕES",
        arguments: Some("[send TEXTO | tail]"),
        options: "Opções",
        default: "padrão",
        examples: "Exemplos",
        example: |command| {
            Some(match command {
                "client send --user bot --room ops --to ana \"done\"" => "só para ana",
                "make 2>&1 | client send --user bot --room ops --all" => "cada linha",
                "client tail --room ops --json" => "para programas",
                "client tail --room ops --history 1 --count 1" => "a última mensagem",
                "client send --user bot --room ops \"deployed\"" => "envia e termina",
                _ => return None,
            })
        },
        option: |long| {
            Some(match long {
                "binder" => "O binder; sem ele, o cliente procura um.",
                "server" => "O servidor, sem binder.",
                "local" => "Inicia o chat nesta máquina ou entra nele.",
                "share" => "Como --local, para toda a rede.",
                "user" => "O nome de usuário; sem ele, o cliente pergunta.",
                "room" => "Entra nesta sala; se não existir, ela é criada.",
                "ca-file" => "Os certificados confiáveis para https.",
                "secret-file" => "O segredo do nome; sem ele, é criado um.",
                "lang" => "O idioma, como pt; se ausente, o de LC_ALL ou LANG.",
                "color" => "Cores: auto, always ou never.",
                "plain" => "Só linhas simples, para leitores de tela.",
                "bell" => "Campainha em menções e mensagens particulares.",
                "on-mention" => "Executa isto em menções e mensagens particulares.",
                "log" => "Acrescenta a FILE o que é mostrado, com datas.",
                "json" => "Mensagens como objetos JSON, um por linha.",
                "config" => "Lê opções de FILE: uma por linha, nome = valor.",
                "log-level" => "Quanto registrar, de off a trace.",
                "help" => "Mostra esta ajuda.",
                "version" => "Mostra a versão.",
                "to" => "Só para este usuário, em particular.",
                "all" => "Para a sala toda, mesmo que o texto comece com @.",
                "history" => "Mostra primeiro as últimas COUNT mensagens.",
                "count" => "Termina depois de COUNT mensagens.",
                _ => return None,
            })
        },
        translated: |text| PORTUGUESE.translated(text),
        see_help: |program| format!("; veja {program} --help"),
        command: |name| {
            Some(match name {
                "send" => (
                    "Envia TEXTO, ou cada linha da entrada padrão, e termina. O servidor limita as\nmensagens de um \
                     usuário: normalmente 50 de uma vez, depois 20 por segundo.",
                    "[TEXTO]",
                ),
                "tail" => ("Mostra o que se diz na sala, até receber um sinal.", ""),
                _ => return None,
            })
        },
        more_options: |program| format!("Todas as outras opções: {program} --help"),
    },

    looking: "Não há chat nesta máquina; procurando na rede.",
    found_chat: |name, address| format!("Chat de {name} encontrado em {address}."),
    sharing: |page| {
        format!("O chat está nesta máquina. Outras pessoas desta rede entram com client, ou pelo navegador em {page}")
    },
    which_chat: "Qual? [1] ",
    several_chats: |addresses| format!("há vários chats nesta rede; escolha um com --binder: {addresses}"),
    no_chat: "nenhum chat encontrado; inicie um com --local (ou --share, para toda a rede), ou diga onde ele está com \
              --binder HOST:PORTA ou --server HOST:PORTA",
    without_tls: |address, host| {
        format!(
            "este cliente foi compilado sem TLS; deixe isso para o stunnel e use 127.0.0.1:9443 no lugar: {}",
            stunnel(address, host)
        )
    },
    port_taken: |port| {
        format!(
            "a porta {port} está em uso por outro programa; encerre-o, ou use um chat em outro lugar com \
             --binder HOST:PORTA ou --server HOST:PORTA"
        )
    },
    not_registered: |port| {
        format!(
            "o servidor de chat na porta {port} não está registrado no binder desta máquina; use --server 127.0.0.1:{port}"
        )
    },
    host_gone: "a máquina que compartilhava o chat saiu; procurando na rede",

    ask_name: "Nome de usuário: ",
    ask_room: "Nome da sala: ",
    ask_text: "Mensagem: ",
    ask_recipient: "Destinatário (vazio para todos): ",
    ask_user: "Usuário: ",
    ask_paste: |lines| format!("Enviar estas {lines} linhas? [s/N] "),
    ask_create: |room| format!("Criar uma sala chamada \"{room}\"? Com n, a linha é enviada como mensagem. [s/n] "),
    yes: &["s", "sim", "y", "yes"],
    no: &["n", "nao", "não", "no"],
    paste_dropped: "Não enviado.",

    welcome: |name| format!("Boas-vindas, {name}. Digite ajuda para ver todos os comandos."),
    where_to: "Você ainda não está em nenhuma sala. Digite entrar SALA para entrar em uma, salas para ver quais há, \
               criar SALA para criar uma.",
    joined: |room, others| format!("Você entrou em {room}. Também aqui: {others}"),
    joined_alone: |room| format!("Você entrou em {room}. Ainda não há mais ninguém aqui."),
    left: |room| format!("Você saiu de {room}."),
    created: |room| format!("A sala {room} foi criada. Tecle Enter para entrar nela, ou digite entrar {room} depois."),
    created_only: |room| format!("A sala {room} foi criada. Digite entrar {room} para entrar nela."),
    created_to_join: |room| format!("A sala {room} ainda não existia e acaba de ser criada."),
    rooms: |rooms| format!("Salas: {rooms}"),
    no_rooms: "Ainda não há salas. Digite criar SALA para criar uma.",
    users: |users| format!("Usuários: {users}"),
    no_users: "Não há ninguém lá.",
    no_history: "Ainda não há mensagens.",
    found: |text, count| match count {
        0 => format!("Nenhuma mensagem contém \"{text}\"."),
        1 => format!("1 mensagem contém \"{text}\":"),
        _ => format!("{count} mensagens contêm \"{text}\":"),
    },
    whoami: |name, room| match room {
        Some(room) => format!("Você é {name}, na sala {room}."),
        None => format!("Você é {name} e não está em nenhuma sala."),
    },
    ignored: |name| {
        format!("As mensagens de {name} ficam ocultas. Digite /ignorar {name} de novo para voltar a mostrá-las.")
    },
    unignored: |name| format!("As mensagens de {name} voltam a ser mostradas."),
    ignoring: |names| format!("Ignorados: {names}"),
    ignoring_nobody: "Você não está ignorando ninguém.",

    came: |names, several| format!("{names} {}", if several { "entraram" } else { "entrou" }),
    went: |names, several| format!("{names} {}", if several { "saíram" } else { "saiu" }),
    and_more: |names, more| format!("{names} e mais {more}"),
    missed: |count| match count {
        1 => "1 mensagem foi descartada pelo servidor antes que você pudesse lê-la.".into(),
        _ => format!("{count} mensagens foram descartadas pelo servidor antes que você pudesse lê-las."),
    },
    private: "em particular",
    private_to: |name| format!("em particular para {name}"),
    mentions_you: "menciona você",
    sent: |to| match to {
        Some(to) => format!("enviado para {to}"),
        None => "enviado".into(),
    },
    refused: |text, why| format!("Não enviado: {text} ({why})"),
    unsent: |text| format!("Não enviado: {text}"),
    unsent_count: |count| match count {
        1 => "1 mensagem não foi enviada".into(),
        _ => format!("{count} mensagens não foram enviadas"),
    },
    given_back: "      Tecle a seta para cima para corrigir e enviar de novo.",
    new_since: |time| format!("novas desde {time}"),
    new: "novas",

    line: |number, text| format!("linha {number}: {text}"),
    no_reply: |seconds| format!("o servidor não respondeu em {seconds} segundos"),
    stopped: |lines| format!("interrompido por um sinal depois de {lines} mensagens"),
    line_too_long: |bytes| format!("a linha tem mais de {bytes} bytes"),
    not_utf8: "a entrada não é toda UTF-8; os bytes inválidos foram trocados por \u{fffd}",
    addressed: "o texto começa com @; use --to NAME para um usuário ou --all para a sala toda",
    progress: |lines, rate| match rate {
        Some(rate) => format!("{lines} linhas enviadas; o servidor aceita {rate} por segundo"),
        None => format!("{lines} linhas enviadas"),
    },

    lost: "conexão perdida",
    retrying: |seconds| format!("nova tentativa em {seconds} s"),
    back: |time, caught_up| match caught_up {
        0 => format!("reconectado às {time}"),
        1 => format!("reconectado às {time}, 1 mensagem recebida nesse meio-tempo"),
        _ => format!("reconectado às {time}, {caught_up} mensagens recebidas nesse meio-tempo"),
    },
    forgotten: |room| format!("o servidor perdeu as mensagens de {room}; a sala foi criada de novo"),
    no_log: |cause| format!("Nada mais será escrito no registro: {cause}"),
    over: "a sessão terminou",
    press_again: "Tecle Ctrl-C de novo em até 2 segundos para sair.",
    press_again_host: |others, several| {
        let would = if several { "perderiam" } else { "perderia" };
        format!(
            "O chat funciona dentro deste cliente, e {others} {would} a conexão. Tecle Ctrl-C de novo em até 2 segundos \
             para sair."
        )
    },

    fault: |fault| match fault.code {
        Fault::NAME_IN_USE => "este nome já está em uso".into(),
        Fault::NO_SUCH_USER => "não existe esse usuário".into(),
        Fault::NO_SUCH_ROOM => "não existe essa sala; digite salas para ver quais há, criar SALA para criar uma".into(),
        Fault::ROOM_EXISTS => "essa sala já existe; digite entrar para entrar nela".into(),
        Fault::NOT_IN_ROOM => "você não está nessa sala".into(),
        Fault::NO_SUCH_RECIPIENT => "esse usuário não está na sala".into(),
        Fault::BAD_NAME => PORTUGUESE.known(&fault.message).unwrap_or_else(|| "este nome não é permitido".into()),
        Fault::LIMIT => PORTUGUESE.known(&fault.message).unwrap_or_else(|| match figure(&fault.message) {
            Some(limit) => format!("longo demais ou em excesso; o limite é {limit}"),
            None => "longo demais ou em excesso".into(),
        }),
        Fault::NOT_AUTHORISED => {
            PORTUGUESE.known(&fault.message).unwrap_or_else(|| "este nome pertence a outra pessoa".into())
        }
        Fault::TOO_FAST => match figure(&fault.message) {
            Some(seconds) => format!("rápido demais; tente de novo em {seconds} s"),
            None => "rápido demais; tente de novo mais tarde".into(),
        },
        Fault::NOT_STORED => "o servidor não consegue guardar mensagens agora; tente de novo mais tarde".into(),
        Fault::NO_SUCH_PROCEDURE => "o servidor não sabe fazer isso".into(),
        Fault::INTERNAL => "erro interno do servidor".into(),
        _ => PORTUGUESE.translated(&fault.message),
    },
    translations: &[
        // Names.
        ("user name", "nome de usuário"),
        ("room name", "nome de sala"),
        ("a {} must have at least 1 character", "um {} precisa ter pelo menos 1 caractere"),
        ("a {} must have at most {} characters and {} bytes", "um {} pode ter no máximo {} caracteres e {} bytes"),
        (
            "a {} cannot contain {}; letters, digits and {} are allowed",
            "um {} não pode conter {}; são permitidos letras, algarismos e {}",
        ),
        ("a {} can have single spaces between words only", "um {} só pode ter espaços simples, entre palavras"),
        ("a {} cannot have spaces; - and _ join words", "um {} não pode ter espaços; - e _ unem palavras"),
        (
            "a {} must begin with a letter, a digit or {}, and have a letter or a digit",
            "um {} precisa começar com letra, algarismo ou {}, e conter letra ou algarismo",
        ),
        ("a {} must begin with a letter or a digit", "um {} precisa começar com letra ou algarismo"),
        (
            "a {} can have accents and other marks on letters only, at most {} together, none twice",
            "um {} só pode ter acentos e outros sinais sobre letras, no máximo {} juntos, nenhum repetido",
        ),
        (
            "a {} cannot mix scripts in a word, such as Cyrillic with Latin",
            "um {} não pode misturar alfabetos numa palavra, como o cirílico e o latino",
        ),
        ("a {} can have digits of one script only", "um {} só pode ter algarismos de um único alfabeto"),
        (
            "a {} written from right to left must have letters of that direction only, begin with one, and not end in \
             punctuation",
            "um {} escrito da direita para a esquerda só pode ter letras dessa direção, precisa começar com uma delas e \
             não pode terminar em pontuação",
        ),
        // Limits.
        ("{}: the limit is {}", "{}: o limite é {}"),
        ("bytes of one message", "bytes de uma mensagem"),
        ("registered users", "usuários registrados"),
        ("rooms", "salas"),
        ("users in one room", "usuários numa sala"),
        ("calls that wait from one address", "chamadas em espera de um endereço"),
        ("beyond a limit: {}", "além de um limite do servidor"),
        ("creating a room requires {}", "criar uma sala exige as credenciais de um usuário registrado"),
        // Reaching the server.
        ("not connected", "sem conexão"),
        ("the binder at {}: {}", "o binder em {}: {}"),
        ("the server at {}: {}", "o servidor em {}: {}"),
        ("the server does not answer", "o servidor não responde"),
        ("not reached: {}", "{}"),
        ("no answer: {}", "sem resposta: {}"),
        ("too busy: HTTP status {}", "ocupado demais: status HTTP {}"),
        ("no answer from behind a proxy: HTTP status {}", "sem resposta por trás de um proxy: status HTTP {}"),
        ("the answer is not XML-RPC but HTTP status {}", "a resposta não é XML-RPC, e sim o status HTTP {}"),
        ("the answer is not XML-RPC: {}", "a resposta não é XML-RPC"),
        ("fault {}: {}", "falha {}: {}"),
        ("Connection refused (os error {})", "nenhum programa atende nesse endereço"),
        ("Connection reset by peer (os error {})", "a conexão foi cortada do outro lado"),
        ("Broken pipe (os error {})", "a conexão foi cortada do outro lado"),
        ("No route to host (os error {})", "não é possível alcançar essa máquina"),
        ("Network is unreachable (os error {})", "não há rede"),
        ("Connection timed out (os error {})", "a máquina não responde"),
        ("connection timed out", "a máquina não responde"),
        ("not within {}", "não veio em {}"),
        ("{} did not answer in time", "{} não respondeu a tempo"),
        ("the name was not resolved in time", "o endereço do nome não foi encontrado a tempo"),
        ("the name has no address", "o nome não tem endereço"),
        ("the stream has ended", "o fluxo terminou"),
        ("timed out", "o tempo acabou"),
        ("Resource temporarily unavailable (os error {})", "o tempo acabou"),
        ("failed to lookup address information: {}", "não há máquina com esse nome"),
        ("{} has no address", "{} não tem endereço"),
        ("cannot resolve {}: {}", "não foi possível encontrar {}: {}"),
        ("Permission denied (os error {})", "permissão negada"),
        ("No such file or directory (os error {})", "não existe esse arquivo"),
        ("Address already in use (os error {})", "o endereço já está em uso"),
        ("Too many open files (os error {})", "há arquivos abertos demais"),
        // The command line.
        ("--{} {}: the number is too large", "--{} {}: o número é grande demais"),
        ("--{} belongs to {}", "--{} pertence a {}"),
        ("{} must be a whole number, not {}", "{} precisa ser um número inteiro, não {}"),
        ("{} must be a number from {} to {}", "{} precisa ser um número de {} a {}"),
        ("{} takes no arguments", "{} não aceita argumentos"),
        ("there is no text to send", "não há texto para enviar"),
        ("--log-level {} must be {}", "--log-level {}: precisa ser {}"),
        (
            "there is no command {}; the commands are send and tail",
            "não existe o comando {}; os comandos são send e tail",
        ),
        ("--{} and --{} cannot be combined", "--{} e --{} não podem ser usadas juntas"),
        ("--{} is needed", "falta --{}"),
        ("--{} must be UTF-8", "--{} precisa ser UTF-8"),
        ("arguments must be UTF-8", "os argumentos precisam ser UTF-8"),
        ("invalid option '{}'", "não existe a opção {}"),
        (
            "this build has no --{}; cargo build --release --features {} makes one that has",
            "este programa foi compilado sem --{}; cargo build --release --features {} faz um que tem",
        ),
        ("missing argument for option '{}'", "falta o valor da opção {}"),
        ("unexpected argument for option '{}': {}", "a opção {} não aceita o valor {}"),
        ("unexpected argument {}", "argumento inesperado: {}"),
        ("--lang: the languages are {}", "--lang: os idiomas são {}"),
        ("--color {} must be auto, always or never", "--color {}: precisa ser auto, always ou never"),
        (
            "{}: an address must be HOST:PORT, for example 127.0.0.1:9000 or [::1]:9000",
            "{}: um endereço precisa ser HOST:PORTA, por exemplo 127.0.0.1:9000 ou [::1]:9000",
        ),
        ("{}, line {}: {}", "{}, linha {}: {}"),
        ("there is no option {} for a file", "não existe a opção {} para um arquivo"),
        ("{} cannot stand twice", "{} não pode aparecer duas vezes"),
        ("{} = {} is needed", "falta {} = {}"),
        ("{} must be yes or no", "{} precisa ser yes ou no"),
        ("cannot read the secret file {}: {}", "não foi possível ler o arquivo do segredo {}: {}"),
        ("the secret file {} holds a secret that {}", "o arquivo {} tem um segredo que {}"),
        (
            "the secret file {} is accessible to every user; run chmod 600 on it",
            "o arquivo do segredo {} pode ser lido por todos; execute chmod 600 nele",
        ),
        ("the secret file {} is not UTF-8", "o arquivo do segredo {} não é UTF-8"),
        ("the secret in CHAT_SECRET {}", "o segredo em CHAT_SECRET {}"),
        ("is empty", "está vazio"),
        ("is longer than {} bytes", "tem mais de {} bytes"),
        ("has control characters or more than one line", "tem caracteres de controle ou mais de uma linha"),
        ("cannot wait for signals: {}", "não foi possível esperar por sinais: {}"),
        ("no random numbers: {}", "não há números aleatórios: {}"),
        ("cannot read {}: {}", "não foi possível ler {}: {}"),
        ("cannot write {}: {}", "não foi possível escrever em {}: {}"),
        ("cannot use the terminal: {}", "não foi possível usar o terminal: {}"),
        ("cannot write to standard output: {}", "não foi possível escrever na saída padrão: {}"),
        ("cannot read standard input: {}", "não foi possível ler a entrada padrão: {}"),
        ("cannot start: {}", "não foi possível iniciar: {}"),
        ("no answer within {} seconds", "sem resposta em {} segundos"),
    ],
    error: |text| format!("Erro: {text}"),
    unreachable: |cause| format!("não foi possível falar com o servidor ({cause})"),
    nobody_offers: "não há nenhum servidor de chat registrado no binder",
    out_of_reach: |server, port| {
        format!(
            "o servidor de chat em {server} só atende a própria máquina; para atender outras, inicie-o com \
             --listen 0.0.0.0:{port}"
        )
    },
    not_a_server: |address| match address {
        "" => "o binder deu um endereço que não é de um servidor de chat".into(),
        _ => format!("{address} não é um servidor de chat; se for um binder, use --binder {address}"),
    },
    not_a_binder: |address| format!("{address} não é um binder; se for um servidor de chat, use --server {address}"),
    no_name: "falta o nome de usuário; use --user",
    in_no_room: "você não está em nenhuma sala; digite entrar SALA para entrar em uma",
    nobody_to_reply: "você ainda não recebeu nenhuma mensagem particular",
    not_a_number: "isto não é um número",
    unknown: |word, nearest| match nearest {
        Some(nearest) => format!("Não existe o comando {word}. Você quis dizer {nearest}?"),
        None => format!("Não existe o comando {word}. Digite ajuda para ver todos os comandos."),
    },

    help_more: "O resto vai para a sala; @NOME TEXTO, só para um usuário; //TEXTO começa com uma barra.",
    example: "Exemplo",
    also: "Também",
    command: |command| match command {
        Command::Create => (&["criar"], "cria uma sala"),
        Command::Join => (&["entrar"], "entra em uma sala e sai da anterior"),
        Command::Leave => (&["sair"], "sai da sala; fora de uma sala, sai do chat"),
        Command::Send => (&["enviar"], "envia uma mensagem a todos ou, com @NOME, só a um usuário"),
        Command::Msg => (&["particular"], "envia uma mensagem só a um usuário"),
        Command::Reply => (&["responder"], "responde à última mensagem particular"),
        Command::Me => (&["eu"], "diz o que você está fazendo"),
        Command::List => (&["salas", "listar"], "lista as salas"),
        Command::Users => (&["usuários", "usuarios"], "lista os usuários de uma sala"),
        Command::History => (&["histórico", "historico"], "mostra as últimas N mensagens (padrão: 20)"),
        Command::Search => (&["procurar", "buscar"], "mostra as mensagens guardadas que contêm TEXTO"),
        Command::Whoami => (&["quemsou"], "mostra o seu nome e a sua sala"),
        Command::Ignore => (&["ignorar"], "oculta as mensagens de um usuário ou volta a mostrá-las"),
        Command::Help => (&["ajuda"], "explica os comandos, ou um deles"),
        Command::Exit => (&["encerrar", "fechar"], "sai do chat"),
    },
    takes: |argument| match argument {
        Argument::Room => "SALA",
        Argument::User => "USUÁRIO",
        Argument::Text => "TEXTO",
        Argument::Count => "N",
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
