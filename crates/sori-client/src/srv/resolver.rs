//! Asking name servers, as the machine's resolver would: which ones, how long, how often, and by TCP when an answer is large.
//! RFC 1035 section 4.2

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::message::{self, Answer, Record};

/// Where a machine's name servers stand.
const CONFIGURATION: &str = "/etc/resolv.conf";
const PORT: u16 = 53;
/// What is said of name servers that do not stand in there. resolv.conf(5)
const TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 2;
/// Bytes of an answer by UDP.
const DATAGRAM_MAX: usize = 4096;

/// Whom to ask, and how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolver {
    servers: Vec<SocketAddr>,
    timeout: Duration,
    attempts: u32,
    /// Domains in which a short name may be.
    search: Vec<String>,
    /// A name with so many dots is not a short one.
    dots: usize,
}

impl Resolver {
    pub(super) fn asking(server: SocketAddr) -> Resolver {
        Resolver { servers: vec![server], timeout: TIMEOUT, attempts: ATTEMPTS, search: Vec::new(), dots: 1 }
    }

    pub(super) fn of_machine() -> io::Result<Resolver> {
        match fs::read(CONFIGURATION) {
            Ok(text) => Ok(Resolver::configured(&text)),
            // Without the file there is a name server on the machine itself. resolv.conf(5)
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Resolver::configured(b"")),
            Err(error) => Err(io::Error::new(error.kind(), format!("{CONFIGURATION}: {error}"))),
        }
    }

    fn configured(text: &[u8]) -> Resolver {
        // Lines that mean nothing are passed over, as the system does.
        let (config, _) = resolv_conf::Config::parse_with_errors(text);
        let servers = config.nameservers.iter().map(|server| SocketAddr::new(server.into(), PORT)).collect();
        Resolver {
            servers: if config.nameservers.is_empty() { local_servers() } else { servers },
            timeout: Duration::from_secs(u64::from(config.timeout.clamp(1, 30))),
            attempts: config.attempts.clamp(1, 5),
            search: config.get_last_search_or_domain().cloned().collect(),
            dots: config.ndots as usize,
        }
    }

    /// The SRV records of a name; none when nobody knows of any.
    pub(super) async fn lookup(&self, name: &str) -> io::Result<Vec<Record>> {
        for name in self.names(name) {
            let records = self.ask(&name).await?;
            if !records.is_empty() {
                return Ok(records);
            }
        }
        Ok(Vec::new())
    }

    /// The names that this one may stand for, in the order in which they are tried.
    fn names(&self, name: &str) -> Vec<String> {
        let longer = self.search.iter().map(|domain| domain.trim_matches('.')).filter(|domain| !domain.is_empty());
        let mut names: Vec<String> = longer.map(|domain| format!("{name}.{domain}")).collect();
        let is_whole = name.matches('.').count() >= self.dots;
        names.insert(if is_whole { 0 } else { names.len() }, name.to_owned());
        names
    }

    /// Asks one server after the other, until one can say.
    async fn ask(&self, name: &str) -> io::Result<Vec<Record>> {
        let mut failure = io::Error::other("there is no name server");
        for _ in 0..self.attempts {
            for server in &self.servers {
                let silent = || io::Error::new(io::ErrorKind::TimedOut, "it does not answer");
                match timeout(self.timeout, ask_server(*server, name)).await.unwrap_or_else(|_| Err(silent())) {
                    Ok(Answer::Records(records)) => return Ok(records),
                    Ok(Answer::Failed(why)) => failure = io::Error::other(format!("{why} ({server})")),
                    Ok(Answer::Truncated) => failure = io::Error::other(format!("{server} cuts its answers")),
                    Err(error) => failure = io::Error::new(error.kind(), format!("name server {server}: {error}")),
                }
            }
        }
        Err(failure)
    }
}

/// Those of the machine itself.
fn local_servers() -> Vec<SocketAddr> {
    vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)), SocketAddr::from((Ipv6Addr::LOCALHOST, PORT))]
}

async fn ask_server(server: SocketAddr, name: &str) -> io::Result<Answer> {
    // Whoever wants to answer in the server's place has to guess this number and the port. RFC 5452 section 9.2
    let id = (crate::options::chance() & 0xFFFF) as u16;
    let question = message::question(id, name)?;
    match by_datagram(server, &question, id, name).await? {
        Answer::Truncated => by_stream(server, &question, id, name).await,
        answer => Ok(answer),
    }
}

async fn by_datagram(server: SocketAddr, question: &[u8], id: u16, name: &str) -> io::Result<Answer> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // From here on nothing comes from anybody else.
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let count = socket.recv(&mut buffer).await?;
        if let Some(answer) = message::answer(&buffer[..count], id, name) {
            return Ok(answer);
        }
    }
}

async fn by_stream(server: SocketAddr, question: &[u8], id: u16, name: &str) -> io::Result<Answer> {
    let stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX).to_be_bytes();
    write_all(&stream, &[&length, question].concat()).await?;
    let mut length = [0; 2];
    read_exact(&stream, &mut length).await?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    read_exact(&stream, &mut answer).await?;
    message::answer(&answer, id, name).ok_or_else(|| io::Error::other(format!("{server} answers something else")))
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn read_exact(stream: &TcpStream, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.readable().await?;
        match stream.try_read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => buffer = &mut buffer[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_says_whom_to_ask() {
        let text = b"# a comment\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a.test b.test\n\
            options ndots:3 timeout:2 attempts:9\nnonsense\n";
        let resolver = Resolver::configured(text);
        let servers: Vec<SocketAddr> = ["192.0.2.1:53", "[2001:db8::1]:53"].map(|s| s.parse().expect("is one")).into();
        assert_eq!((resolver.servers, resolver.timeout, resolver.attempts), (servers, Duration::from_secs(2), 5));
        assert_eq!((resolver.search, resolver.dots), (vec!["a.test".to_owned(), "b.test".to_owned()], 3));
        assert_eq!(Resolver::configured(b"").servers, local_servers());
    }

    /// Time jumps as soon as everybody waits.
    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_asked_again_and_others_are_asked_too() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let mut resolver = Resolver::asking(silent.local_addr().expect("is bound"));
        let error = resolver.lookup("_mqtt._tcp.example.org").await.expect_err("nobody answers");
        assert!(error.kind() == io::ErrorKind::TimedOut && error.to_string().contains("does not answer"), "{error}");
        let mut buffer = [0; 100];
        for _ in 0..ATTEMPTS {
            let count = silent.try_recv(&mut buffer).expect("a question");
            assert!(count > 12);
        }
        assert!(silent.try_recv(&mut buffer).is_err(), "no more questions");
        // Nothing listens there, which the system tells at once; and the one after it is asked.
        let gone = UdpSocket::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("is bound");
        resolver.servers.insert(0, gone);
        assert!(resolver.lookup("_mqtt._tcp.example.org").await.is_err());
        assert!(silent.try_recv(&mut buffer).is_ok());
        let error = Resolver::asking(gone).lookup("_mqtt._tcp.example.org").await.expect_err("nobody is there");
        assert!(error.to_string().starts_with(&format!("name server {gone}: ")), "{error}");
    }

    #[test]
    fn short_names_are_looked_for_in_domains() {
        let resolver = Resolver::configured(b"search a.test .\noptions ndots:3\n");
        assert_eq!(resolver.names("_mqtt._tcp.x"), ["_mqtt._tcp.x.a.test", "_mqtt._tcp.x"]);
        assert_eq!(resolver.names("_mqtt._tcp.x.y"), ["_mqtt._tcp.x.y", "_mqtt._tcp.x.y.a.test"]);
    }
}
