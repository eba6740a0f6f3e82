//! When two spellings of an address mean one instance.

/// The address in one spelling: scheme and host in lower case, without the scheme's own port, without slashes at the end,
/// and without the path of an API below the instance, which is often pasted with it. What is no address is only trimmed.
pub(super) fn canonical(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let scheme = scheme.to_ascii_lowercase();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let host = host.strip_suffix(own_port).unwrap_or(&host);
    let path = path.strip_suffix("/api").unwrap_or(path);
    let path = path.split("/api/").next().unwrap_or(path).trim_end_matches('/');
    format!("{scheme}://{host}{path}")
}

/// Scheme, host and port of an address in one spelling: the server that it leads to.
///
/// Where the text up to the path is the same, so is the server, whatever a parser makes of that text; of two texts that
/// differ it is not known, and they count as two servers.
pub(super) fn origin(url: &str) -> String {
    let mut url = canonical(url);
    if let Some(authority) = url.find("://").map(|scheme| scheme + 3) {
        let end = url[authority..].find('/').map_or(url.len(), |path| authority + path);
        url.truncate(end);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_no_part_of_the_origin_and_everything_before_it_is() {
        for same in [
            "https://example.org",
            "https://Example.org:443/",
            "https://example.org/a/b?c://d",
        ] {
            assert_eq!(origin(same), "https://example.org", "{same}");
        }
        for other in [
            "http://example.org",
            "https://example.org:8443/a",
            "https://example.org@evil.example/",
            "https://example.org\\.evil.example/",
            "https://example.org?.evil.example/",
            "https://sub.example.org",
            "https:example.org",
            "https:/\\example.org/",
            "",
        ] {
            assert_ne!(origin(other), "https://example.org", "{other}");
        }
    }

    #[test]
    fn spellings_of_one_instance_are_one_address() {
        for spelling in [
            "https://projects.example.org",
            "https://projects.example.org//",
            " HTTPS://Projects.Example.org/ ",
            "https://projects.example.org:443",
            "https://projects.example.org/api/v3",
            "https://projects.example.org/api/jsonrpc/",
            "https://projects.example.org/api",
        ] {
            assert_eq!(canonical(spelling), "https://projects.example.org", "{spelling}");
        }
        assert_eq!(canonical("http://127.0.0.1:80/Work/"), "http://127.0.0.1/Work");
    }

    #[test]
    fn other_ports_paths_and_schemes_are_other_instances() {
        let here = canonical("https://example.org/a");
        for other in [
            "https://example.org/a/apiary",
            "https://example.org:8443/a",
            "https://example.org/A",
            "https://example.org",
            "http://example.org/a",
        ] {
            assert_ne!(canonical(other), here, "{other}");
        }
        assert_eq!(canonical("nowhere/"), "nowhere");
    }
}
