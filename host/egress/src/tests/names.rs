//! Names and addresses: what was vetted is what is dialled, and nothing is dialled that was not.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A server at 127.0.0.1 and one inside, at the same port.
async fn outside_and_inside() -> (Server, Server) {
    let answer = |mut stream: TcpStream, _| async move { drop(stream.write_all(OK.as_bytes()).await) };
    for _ in 0..50 {
        let outside = Server::with("127.0.0.1:0", answer).await;
        let at = SocketAddr::new("127.0.0.2".parse().unwrap(), outside.address.port());
        if std::net::TcpListener::bind(at).is_ok() {
            return (outside, Server::with(&at.to_string(), answer).await);
        }
    }
    panic!("no port is free on both addresses");
}

#[tokio::test]
async fn addresses_in_the_url_are_vetted_like_any_other() {
    let (_, inside) = outside_and_inside().await;
    let port = inside.address.port();
    for host in ["127.0.0.2", "0x7f.0.0.2", "2130706434", "0177.0.0.02", "127.2", "127.0.0.2."] {
        let error = send(outside_only(get(&format!("http://{host}:{port}/")))).await.unwrap_err();
        assert_eq!(error, EgressError::Denied("127.0.0.2 is inside; grant it by address".to_owned()), "{host}");
        assert_eq!(error.code(), "denied");
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let vet = {
        let seen = Arc::clone(&seen);
        move |addresses: &[IpAddr]| {
            seen.lock().unwrap().extend_from_slice(addresses);
            Err("no".to_owned())
        }
    };
    let request = HttpRequest { vet: Arc::new(vet), ..get(&format!("http://[::ffff:127.0.0.2]:{port}/")) };
    assert_eq!(send(request).await.unwrap_err().code(), "denied");
    assert_eq!(*seen.lock().unwrap(), ["::ffff:127.0.0.2".parse::<IpAddr>().unwrap()]);
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn one_refused_address_refuses_the_name() {
    let (outside, inside) = outside_and_inside().await;
    for answer in [[outside.address, inside.address], [inside.address, outside.address]] {
        let egress = resolving(Fake::with("mixed.test", &[&answer]));
        let request = outside_only(get(&format!("http://mixed.test:{}/", outside.address.port())));
        assert_eq!(egress.send(request, CancellationToken::new()).await.unwrap_err().code(), "denied");
    }
    assert_eq!((outside.connections(), inside.connections()), (0, 0));
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_asked_once_for_each_request() {
    let (outside, inside) = outside_and_inside().await;
    let fake = Fake::with("rebind.test", &[&[outside.address], &[inside.address]]);
    let egress = resolving(Arc::clone(&fake));
    let url = format!("http://rebind.test:{}/", outside.address.port());
    let mut codes = Vec::new();
    for _ in 0..40 {
        let answer = egress.send(outside_only(get(&url)), CancellationToken::new()).await;
        codes.push(answer.map_or_else(|error| error.code(), |_| "ok"));
    }
    assert_eq!(codes, ["ok", "denied"].repeat(20));
    assert_eq!(fake.asked.load(Ordering::SeqCst), 40);
    assert_eq!((outside.connections(), inside.connections()), (20, 0));
    assert!(outside.requests()[0].contains(&format!("host: rebind.test:{}\r\n", outside.address.port())));
}

#[tokio::test]
async fn a_resolver_chooses_no_ports() {
    let (outside, _) = outside_and_inside().await;
    let elsewhere = Server::answering(OK).await;
    let egress = resolving(Fake::with("port.test", &[&[elsewhere.address]]));
    let url = format!("http://port.test:{}/", outside.address.port());
    assert_eq!(egress.send(get(&url), CancellationToken::new()).await.unwrap().status(), 200);
    assert_eq!((outside.connections(), elsewhere.connections()), (1, 0));
}

#[tokio::test]
async fn names_without_good_addresses_are_unavailable() {
    let crowd: Vec<SocketAddr> = (0..65).map(|last| SocketAddr::new([192, 0, 2, last].into(), 80)).collect();
    for (answer, wanted) in [
        (Vec::new(), "http://odd.test:80 cannot be reached: the name has no address"),
        (crowd, "http://odd.test:80 cannot be reached: the name has more than 64 addresses"),
    ] {
        let egress = resolving(Fake::with("odd.test", &[&answer]));
        let error = egress.send(get("http://odd.test/?secret"), CancellationToken::new()).await.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), ("unavailable", wanted));
    }
    let egress = resolving(Arc::default());
    let error = egress.send(get("http://gone.test/"), CancellationToken::new()).await.unwrap_err();
    let wanted = "http://gone.test:80 cannot be reached: the name does not resolve (no such name)";
    assert_eq!((error.code(), error.to_string().as_str()), ("unavailable", wanted));
}

#[tokio::test]
async fn a_resolver_that_hangs_ends_with_the_time_to_the_first_byte() {
    struct Hanging;
    impl Resolve for Hanging {
        fn resolve(&self, _: &str, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let egress = Egress::new(EgressConfig { resolver: Arc::new(Hanging), ..EgressConfig::default() }).unwrap();
    let request = HttpRequest { first_byte: Duration::from_millis(100), ..get("http://hang.test/") };
    let error = egress.send(request, CancellationToken::new()).await.unwrap_err();
    let wanted = "http://hang.test:80 cannot be reached: no connection within 100 ms";
    assert_eq!((error.code(), error.to_string().as_str()), ("unavailable", wanted));
}
