//! Where an instance may live: not where a cloud keeps its machines' credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::problem::Problem;

/// Checks the address of an instance; names are looked up. Loopback and private addresses are allowed: it is a
/// self-hoster's tool. What cannot be looked up is left to the test of the connection.
pub(crate) async fn check(text: &str, allow_link_local: bool) -> Result<(), Problem> {
    let refused = |message: &str| Problem::invalid("instance_url", message);
    let url = Url::parse(text.trim()).map_err(|_| refused("it should look like https://projects.example.org"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("it must begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(
            "it must not hold a user name or password; the key goes into api_key",
        ));
    }
    if allow_link_local {
        return Ok(());
    }
    let addresses: Vec<IpAddr> = match url.host() {
        None => return Err(refused("it names no host")),
        Some(Host::Ipv4(address)) => vec![IpAddr::V4(address)],
        Some(Host::Ipv6(address)) => vec![IpAddr::V6(address)],
        Some(Host::Domain(name)) => {
            let port = url.port_or_known_default().unwrap_or(443);
            match tokio::net::lookup_host((name, port)).await {
                Ok(found) => found.map(|address| address.ip()).collect(),
                Err(_) => Vec::new(),
            }
        }
    };
    if addresses.iter().copied().any(is_forbidden) {
        let message = "it leads to a link-local address or to a cloud's metadata service, which is not allowed here";
        return Err(refused(message));
    }
    Ok(())
}

fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_forbidden_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => is_forbidden_v4(address),
            None => is_forbidden_v6(address),
        },
    }
}

/// Link-local (169.254.169.254 among them), "this network", broadcast, and two metadata services that are elsewhere.
fn is_forbidden_v4(address: Ipv4Addr) -> bool {
    address.is_link_local()
        || address.octets()[0] == 0
        || address.is_broadcast()
        || address.is_multicast()
        || address == Ipv4Addr::new(100, 100, 100, 200)
        || address == Ipv4Addr::new(192, 0, 0, 192)
}

fn is_forbidden_v6(address: Ipv6Addr) -> bool {
    let is_metadata = address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    address.is_unicast_link_local() || address.is_unspecified() || address.is_multicast() || is_metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_http_and_no_address_of_a_metadata_service() {
        for allowed in [
            "https://192.0.2.1",
            "http://127.0.0.1:8080/openproject",
            "http://[::1]:80",
            "http://10.0.0.5",
            "http://192.168.1.1",
        ] {
            assert!(check(allowed, false).await.is_ok(), "{allowed}");
        }
        for refused in [
            "ftp://192.0.2.1",
            "file:///etc/passwd",
            "192.0.2.1",
            "",
            "https://user:secret@192.0.2.1",
            "http://169.254.169.254/latest",
            "http://[fe80::1]",
            "http://[::ffff:169.254.169.254]",
            "http://[fd00:ec2::254]",
            "http://0.0.0.0",
            "http://100.100.100.200",
            // The same address in other spellings.
            "http://2852039166",
            "http://0xa9fea9fe",
        ] {
            let problem = check(refused, false).await.unwrap_err();
            assert_eq!(problem.status().as_u16(), 422, "{refused}");
            assert!(!problem.detail().contains("secret"));
        }
        assert!(check("http://169.254.169.254", true).await.is_ok());
    }
}
