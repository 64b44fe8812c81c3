use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use md5::Digest as _;
use tempfile::tempdir;

use super::{Transfer, get, get_from};

/// Serves `bytes` on loopback to so many requests; each answers with at most `most` bytes, and then breaks off.
/// Where there are none, there is no such file.
/// Gives the address, and the `Range` of each request.
fn serve(
    bytes: Vec<u8>,
    requests: usize,
    most: usize,
    ranges: bool,
) -> (String, Receiver<Option<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for _ in 0..requests {
            let (mut stream, _) = listener.accept().unwrap();
            let mut from = None;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_lowercase();
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    from = Some(range.trim_end_matches('-').parse::<usize>().unwrap());
                }
                if line.is_empty() {
                    break;
                }
            }
            sender.send(from).unwrap();
            let start = from.filter(|_| ranges).unwrap_or(0);
            let status = match start {
                _ if bytes.is_empty() => "404 Not Found",
                0 => "200 OK",
                _ if start >= bytes.len() => "416 Range Not Satisfiable",
                _ => "206 Partial Content",
            };
            let rest = bytes.get(start..).unwrap_or_default();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                rest.len()
            )
            .unwrap();
            stream.write_all(&rest[..rest.len().min(most)]).unwrap();
        }
    });
    (address, receiver)
}

fn fetch(url: &str, folder: &Path, md5: &str) -> Result<Vec<u8>, String> {
    let path = folder.join("file");
    let url = format!("{url}file");
    super::fetch(&url, &path, md5, super::PATIENCE, &mut |_| {}).map_err(|e| e.to_string())?;
    Ok(std::fs::read(path).unwrap())
}

#[test]
fn a_transfer_goes_on_where_it_was_cut() {
    let bytes: Vec<u8> = (0..300_000_u32)
        .map(|i| (i.wrapping_mul(i) >> 5) as u8)
        .collect();
    let sum = hex::encode(md5::Md5::digest(&bytes));
    for ranges in [true, false] {
        let folder = tempdir().unwrap();
        let (url, seen) = serve(bytes.clone(), 1, 100_000, ranges);
        let broken = fetch(&url, folder.path(), &sum).unwrap_err();
        assert!(broken.contains("goes on from there"), "{broken}");
        assert_eq!(seen.recv().unwrap(), None);
        let (url, seen) = serve(bytes.clone(), 1, usize::MAX, ranges);
        assert_eq!(fetch(&url, folder.path(), &sum).unwrap(), bytes);
        assert_eq!(seen.recv().unwrap(), Some(100_000));
        if ranges {
            // All of it had come when the last transfer ended, but it had not been kept.
            let path = folder.path().join("file");
            std::fs::rename(&path, folder.path().join("file.part")).unwrap();
            let (url, seen) = serve(bytes.clone(), 1, usize::MAX, ranges);
            assert_eq!(fetch(&url, folder.path(), &sum).unwrap(), bytes);
            assert_eq!(seen.recv().unwrap(), Some(300_000));
        }
        // There and whole: nobody is asked again.
        assert_eq!(
            fetch("http://127.0.0.1:1/", folder.path(), &sum).unwrap(),
            bytes
        );
    }
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let folder = tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let (given_up, waiting) = channel::<()>();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")
            .unwrap();
        // The connection stays, and nothing comes.
        let _ = waiting.recv();
    });
    let path = folder.path().join("file");
    let patience = std::time::Duration::from_millis(200);
    let problem = super::fetch(&url, &path, "", patience, &mut |_| {}).unwrap_err();
    assert!(
        problem.to_string().contains("fell silent after 10 bytes"),
        "{problem}"
    );
    assert_eq!(
        std::fs::read(folder.path().join("file.part")).unwrap(),
        b"0123456789"
    );
    drop(given_up);
    server.join().unwrap();
}

#[test]
fn a_wrong_sum_is_thrown_away_and_a_wrong_address_is_told() {
    let folder = tempdir().unwrap();
    let (url, _seen) = serve(vec![1; 10], 1, usize::MAX, true);
    let wrong = fetch(&url, folder.path(), "00").unwrap_err();
    assert!(
        wrong.contains("MD5") && wrong.contains("try again"),
        "{wrong}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(
        fetch("http://127.0.0.1:1/", folder.path(), "00")
            .unwrap_err()
            .contains("cannot fetch")
    );
    let (url, _seen) = serve(Vec::new(), 1, usize::MAX, true);
    let gone = fetch(&url, folder.path(), "00").unwrap_err();
    assert!(
        gone.contains("no such file") && gone.contains("by hand"),
        "{gone}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_mirror_is_asked_for_the_official_files_and_not_trusted() {
    let folder = tempdir().unwrap();
    let (url, _seen) = serve(vec![1; 10], 1, usize::MAX, true);
    let mut transfers = Vec::new();
    let wrong = get_from(Some(&url), "mnist", folder.path(), &mut |transfer| {
        transfers.push(transfer.clone());
    });
    let wrong = wrong.unwrap_err().to_string();
    let file = "train-images-idx3-ubyte.gz";
    assert!(
        wrong.contains(&format!("{url}{file}")) && wrong.contains("MD5"),
        "{wrong}"
    );
    let whole = Transfer {
        file: file.to_owned(),
        done: 10,
        total: Some(10),
    };
    assert_eq!(transfers.last(), Some(&whole));
    assert_eq!(
        std::fs::read_dir(folder.path().join("mnist"))
            .unwrap()
            .count(),
        0
    );
    let message = |name| {
        get(name, folder.path(), &mut |_| {})
            .unwrap_err()
            .to_string()
    };
    assert!(message("synthetic").contains("nothing to fetch"));
    assert!(message("imagenet").contains("no data set \"imagenet\""));
}
