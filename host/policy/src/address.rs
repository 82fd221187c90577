//! Which addresses are inside.
//!
//! Invariant: an address is [`AddressClass::Public`] only if it is globally reachable by the IANA registries and does
//! not carry another address that is not. Everything else is dialled only where a rule names it, metadata services
//! only by their very address, and what cannot be a unicast peer never. [`vet`] judges all addresses of a name at
//! once: one bad answer refuses the name, because a mixed answer is how rebinding looks.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::denial::Reason;
use crate::{Denial, HttpRule, Request};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressClass {
    /// The internet.
    Public,
    /// RFC 1918, unique local, site local, local-use NAT64.
    Private,
    /// 100.64.0.0/10, between customers and their carrier (RFC 6598).
    SharedNat,
    /// This machine.
    Loopback,
    /// This link.
    LinkLocal,
    /// Where a cloud hands out credentials.
    Metadata,
    /// For measuring devices (RFC 2544, RFC 5180).
    Benchmark,
    /// Many machines.
    Multicast,
    /// All machines of a network.
    Broadcast,
    /// 0.0.0.0/8 and `::`, which many systems dial as this machine.
    Unspecified,
    /// For examples in text.
    Documentation,
    /// IPv4 carried in IPv6 by a transition mechanism (6to4, Teredo, IPv4-compatible).
    Tunnel,
    /// Everything else that is not assigned to the internet.
    Reserved,
}

impl AddressClass {
    /// Whether a rule can allow it by naming the address.
    #[must_use]
    pub const fn is_grantable(self) -> bool {
        matches!(
            self,
            Self::Private | Self::SharedNat | Self::Loopback | Self::LinkLocal | Self::Metadata | Self::Benchmark
        )
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Public => "public",
            Self::Private => "a private address",
            Self::SharedNat => "a carrier's address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud metadata address",
            Self::Benchmark => "a benchmarking address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast address",
            Self::Unspecified => "an unspecified address",
            Self::Documentation => "a documentation address",
            Self::Tunnel => "a tunnel address",
            Self::Reserved => "a reserved address",
        })
    }
}

/// Metadata services beyond link-local: AWS, ECS, EKS, Azure, Alibaba, Oracle and Google, by their documentation.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

/// What an address is for. IPv4-mapped addresses are the IPv4 address, for so they are dialled.
#[must_use]
pub fn classify(address: IpAddr) -> AddressClass {
    let address = address.to_canonical();
    if METADATA.contains(&address) {
        return AddressClass::Metadata;
    }
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

/// By the IANA IPv4 special-purpose registry (RFC 6890 and its updates).
fn classify_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [0, ..] => AddressClass::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::SharedNat,
        [127, ..] => AddressClass::Loopback,
        [169, 254, ..] => AddressClass::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Documentation,
        [192, 0, 0, _] | [192, 88, 99, _] => AddressClass::Reserved,
        [198, 18..=19, ..] => AddressClass::Benchmark,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [224..=239, ..] => AddressClass::Multicast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

/// By the IANA IPv6 special-purpose registry; outside of 2000::/3 nothing is assigned to the internet.
fn classify_v6(address: Ipv6Addr) -> AddressClass {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // IPv4-compatible (RFC 4291) and IPv4-translated (RFC 2765)
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => carried(high, low, AddressClass::Tunnel),
        // NAT64 (RFC 6052), the prefix by which IPv6-only networks reach the internet
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(high, low, AddressClass::Public),
        // local-use NAT64 (RFC 8215)
        [0x64, 0xff9b, 1, ..] => AddressClass::Private,
        // Teredo (RFC 4380), whose client's address is stored inverted
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            let server = carried(server_high, server_low, AddressClass::Tunnel);
            let client = carried(!high, !low, AddressClass::Tunnel);
            if server == AddressClass::Tunnel { client } else { server }
        }
        // benchmarking (RFC 5180)
        [0x2001, 2, 0, ..] => AddressClass::Benchmark,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Documentation,
        // IETF protocol assignments
        [0x2001, 0..=0x1ff, ..] => AddressClass::Reserved,
        // 6to4 (RFC 3056)
        [0x2002, high, low, ..] => carried(high, low, AddressClass::Tunnel),
        // ISATAP (RFC 5214)
        [0x2000..=0x3fff, _, _, _, 0 | 0x200, 0x5efe, high, low] => carried(high, low, AddressClass::Tunnel),
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => AddressClass::Private,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        _ => AddressClass::Reserved,
    }
}

/// The class of an IPv4 address within an IPv6 one; `otherwise` where it is public.
fn carried(high: u16, low: u16, otherwise: AddressClass) -> AddressClass {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    match classify(IpAddr::V4(Ipv4Addr::new(a, b, c, d))) {
        AddressClass::Public => otherwise,
        class => class,
    }
}

/// The networks behind which an organisation's own servers stand, and this machine: what a rule names that allows
/// private networks as such. Metadata addresses are never meant, whatever range they lie in.
#[must_use]
pub fn private_networks() -> BTreeSet<IpNet> {
    let net = |address: IpAddr, length: u8| IpNet::new(address, length).ok();
    let v4 = |a, b, length| net(IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), length);
    [
        v4(10, 0, 8),
        v4(172, 16, 12),
        v4(192, 168, 16),
        v4(100, 64, 10),
        v4(127, 0, 8),
        net(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        net(IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether a range (`127.0.0.0/8`) holds addresses of this machine alone.
#[must_use]
pub fn is_this_machine(net: &str) -> bool {
    let is_loopback = |address: IpAddr| classify(address.to_canonical()) == AddressClass::Loopback;
    net.parse::<IpNet>().is_ok_and(|net| is_loopback(net.network()) && is_loopback(net.broadcast()))
}

/// Whether a range is one single metadata address.
pub(crate) fn names_metadata(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len() && classify(net.addr()) == AddressClass::Metadata
}

/// Judge the addresses that the host of an allowed request has led to, and return them as they are to be dialled,
/// without repetitions, in their order. `rule` is what [`decide`](crate::decide) answered for the same request. All
/// addresses must pass: a public one is allowed, another only if the rule names it. No addresses in, none out: the
/// name was not found, and there is nothing to dial.
pub fn vet(plugin: &str, request: &Request, rule: &HttpRule, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, Denial> {
    let mut vetted: Vec<IpAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        let address = address.to_canonical();
        let class = classify(address);
        if rule.loopback_only && class != AddressClass::Loopback {
            return Err(Denial::request(plugin, request, Reason::NotThisMachine { address }, None));
        }
        if class != AddressClass::Public && !is_named(rule, address, class) {
            let needed = class.is_grantable().then(|| {
                let mut needed = rule.clone();
                needed.allow_private.insert(IpNet::from(address));
                needed
            });
            return Err(Denial::request(plugin, request, Reason::Address { address, class }, needed));
        }
        if !vetted.contains(&address) {
            vetted.push(address);
        }
    }
    Ok(vetted)
}

/// Whether the rule allows this address, which is not public.
fn is_named(rule: &HttpRule, address: IpAddr, class: AddressClass) -> bool {
    let single = |net: &IpNet| net.prefix_len() == net.max_prefix_len();
    class.is_grantable()
        && rule
            .allow_private
            .iter()
            .any(|net| net.contains(&address) && (class != AddressClass::Metadata || single(net)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Host;
    use crate::rule::samples::rule;

    /// Hosts as they stand in a URL, and what is there.
    const TABLE: &[(&str, AddressClass)] = {
        use AddressClass as C;
        &[
            ("8.8.8.8", C::Public),
            ("1.1.1.1", C::Public),
            ("172.15.255.255", C::Public),
            ("172.32.0.0", C::Public),
            ("100.63.255.255", C::Public),
            ("100.128.0.0", C::Public),
            ("192.167.1.1", C::Public),
            ("223.255.255.255", C::Public),
            ("[2606:4700::1111]", C::Public),
            ("[2a00:1450::1]", C::Public),
            ("[64:ff9b::808:808]", C::Public),
            ("[::ffff:8.8.8.8]", C::Public),
            ("10.0.0.1", C::Private),
            ("10.255.255.255", C::Private),
            ("172.16.0.1", C::Private),
            ("172.31.255.255", C::Private),
            ("192.168.0.1", C::Private),
            ("[fc00::1]", C::Private),
            ("[fd12:3456::1]", C::Private),
            ("[fec0::1]", C::Private),
            ("[64:ff9b:1::1]", C::Private),
            ("[64:ff9b::10.0.0.1]", C::Private),
            ("[::ffff:192.168.1.1]", C::Private),
            ("[::10.0.0.1]", C::Private),
            ("[2002:0a00:0001::]", C::Private),
            ("[2001:0:a00:1::f5ff:fffe]", C::Private),
            ("[2001:0:808:808::f5ff:fffe]", C::Private),
            ("[2a00::5efe:10.0.0.1]", C::Private),
            ("[2a00::200:5efe:192.168.0.1]", C::Private),
            ("100.64.0.1", C::SharedNat),
            ("100.127.255.255", C::SharedNat),
            ("127.0.0.1", C::Loopback),
            ("127.255.255.254", C::Loopback),
            ("127.1", C::Loopback),
            ("0177.0.0.1", C::Loopback),
            ("0x7f000001", C::Loopback),
            ("0x7f.0x0.0x0.0x1", C::Loopback),
            ("2130706433", C::Loopback),
            ("017700000001", C::Loopback),
            ("127.0.0.1.", C::Loopback),
            ("１２７.０.０.１", C::Loopback),
            ("127。0。0。1", C::Loopback),
            ("%31%32%37.0.0.1", C::Loopback),
            ("[::1]", C::Loopback),
            ("[0:0:0:0:0:0:0:1]", C::Loopback),
            ("[::ffff:127.0.0.1]", C::Loopback),
            ("[::ffff:7f00:1]", C::Loopback),
            ("[::127.0.0.1]", C::Loopback),
            ("[::ffff:0:127.0.0.1]", C::Loopback),
            ("[64:ff9b::7f00:1]", C::Loopback),
            ("[2002:7f00:1::]", C::Loopback),
            ("169.254.1.1", C::LinkLocal),
            ("[fe80::1]", C::LinkLocal),
            ("[febf::1]", C::LinkLocal),
            ("169.254.169.254", C::Metadata),
            ("169.254.170.2", C::Metadata),
            ("0xa9fea9fe", C::Metadata),
            ("2852039166", C::Metadata),
            ("0251.0376.0251.0376", C::Metadata),
            ("[::ffff:169.254.169.254]", C::Metadata),
            ("[64:ff9b::a9fe:a9fe]", C::Metadata),
            ("[2002:a9fe:a9fe::]", C::Metadata),
            ("[::a9fe:a9fe]", C::Metadata),
            ("[fd00:ec2::254]", C::Metadata),
            ("[fd20:ce::254]", C::Metadata),
            ("100.100.100.200", C::Metadata),
            ("168.63.129.16", C::Metadata),
            ("192.0.0.192", C::Metadata),
            ("0.0.0.0", C::Unspecified),
            ("0.1.2.3", C::Unspecified),
            ("0", C::Unspecified),
            ("[::]", C::Unspecified),
            ("[::ffff:0.0.0.0]", C::Unspecified),
            ("198.18.0.1", C::Benchmark),
            ("198.19.255.255", C::Benchmark),
            ("[2001:2::1]", C::Benchmark),
            ("192.0.2.1", C::Documentation),
            ("198.51.100.1", C::Documentation),
            ("203.0.113.1", C::Documentation),
            ("[2001:db8::1]", C::Documentation),
            ("[3fff::1]", C::Documentation),
            ("224.0.0.1", C::Multicast),
            ("239.255.255.255", C::Multicast),
            ("[ff02::1]", C::Multicast),
            ("255.255.255.255", C::Broadcast),
            ("240.0.0.1", C::Reserved),
            ("192.0.0.1", C::Reserved),
            ("192.88.99.1", C::Reserved),
            ("[100::1]", C::Reserved),
            ("[2001:1::1]", C::Reserved),
            ("[4000::1]", C::Reserved),
            ("[2002:808:808::]", C::Tunnel),
            ("[2001:0:808:808::f7f7:f7f7]", C::Tunnel),
            ("[::8.8.8.8]", C::Tunnel),
        ]
    };

    fn request(host: &str) -> Request {
        Request::parse("GET", &format!("http://{host}/x?secret=1"), 0).unwrap()
    }

    #[test]
    fn a_range_is_this_machine_only_as_a_whole() {
        for here in ["127.0.0.0/8", "127.0.0.1/32", "::1/128"] {
            assert!(is_this_machine(here), "{here}");
        }
        for elsewhere in ["126.0.0.0/7", "0.0.0.0/0", "10.0.0.0/8", "::/127", "::/0", "127.0.0.1", ""] {
            assert!(!is_this_machine(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn the_table_of_hosts() {
        assert!(TABLE.len() >= 60);
        for (host, expected) in TABLE {
            let request = request(host);
            let Host::Address(address) = request.host() else { panic!("{host} is read as a name") };
            assert_eq!(classify(*address), *expected, "{host}");
            let open = rule("GET http://a.b.c/");
            assert_eq!(vet("p", &request, &open, &[*address]).is_ok(), *expected == AddressClass::Public, "{host}");
        }
    }

    #[test]
    fn one_bad_answer_refuses_the_name() {
        let request = request("name.example.com");
        let open = rule("GET http://name.example.com/");
        let [good, bad]: [IpAddr; 2] = ["8.8.8.8".parse().unwrap(), "10.0.0.5".parse().unwrap()];
        assert_eq!(vet("p", &request, &open, &[good, good]), Ok(vec![good]));
        assert_eq!(vet("p", &request, &open, &[]), Ok(vec![]));
        for answers in [[good, bad], [bad, good]] {
            assert_eq!(
                vet("jira", &request, &open, &answers).unwrap_err().to_string(),
                "Plugin `jira` tried to GET http://name.example.com/x at 10.0.0.5, which is a private address and not \
                 granted; it would need the grant: may GET to http://name.example.com/, also at 10.0.0.5 (sending up \
                 to 16 MiB a request, receiving up to 16 MiB)."
            );
        }
    }

    #[test]
    fn the_grant_that_a_denial_names_allows_it() {
        for (host, class) in TABLE.iter().filter(|(_, class)| *class != AddressClass::Public) {
            let request = request(host);
            let Host::Address(address) = request.host() else {
                continue;
            };
            let denial = vet("p", &request, &rule("GET http://a.b.c/"), &[*address]).unwrap_err();
            match denial.needed() {
                Some(needed) => assert!(vet("p", &request, needed, &[*address]).is_ok(), "{host}"),
                None => {
                    assert!(!class.is_grantable(), "{host}");
                    let everything = rule("GET http://a.b.c/ 0.0.0.0/0,::/0");
                    assert!(vet("p", &request, &everything, &[*address]).is_err(), "{host}");
                    assert!(denial.to_string().ends_with("; no grant can allow it."));
                }
            }
        }
    }

    #[test]
    fn a_range_does_not_stand_for_a_metadata_address() {
        let request = request("name.example.com");
        let metadata: IpAddr = "169.254.169.254".parse().unwrap();
        let vet = |nets: &str| vet("p", &request, &rule(&format!("GET http://a.b.c/ {nets}")), &[metadata]).is_ok();
        assert!(!vet("169.254.0.0/16,0.0.0.0/0"));
        assert!(vet("169.254.169.254"));
    }

    #[test]
    fn a_mapped_address_is_dialled_as_what_it_is() {
        let request = request("name.example.com");
        let mapped: IpAddr = "::ffff:10.0.0.5".parse().unwrap();
        let plain: IpAddr = "10.0.0.5".parse().unwrap();
        assert_eq!(vet("p", &request, &rule("GET http://a.b.c/ 10.0.0.0/8"), &[mapped]), Ok(vec![plain]));
    }
}
