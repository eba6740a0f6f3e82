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

#[cfg(test)]
mod tests {
    use super::*;

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
