//! A full disk: changes are refused with 507, reading works, nothing acknowledged is lost, and no restart is needed.

use fumehood_tests::machine::{Tmpfs, can_mount, copy_folder, folder_bytes, skip};
use fumehood_tests::{Data, Launch, Random};

/// Room beside what is there at the start, bytes.
const ROOM: u64 = 24 << 20;
/// Of which this much is given back.
const BALLAST: usize = 12 << 20;

#[test]
fn a_full_disk_is_survived() {
    if !can_mount() {
        return skip("a_full_disk_is_survived", "file systems cannot be mounted here");
    }
    let data = Data::prepared();
    let token = data.token("admin");
    let place = data.beside("small");
    std::fs::create_dir(&place).unwrap();
    let _disk = Tmpfs::mount(&place, folder_bytes(&data.path()) + ROOM).unwrap();
    let folder = place.join("data");
    copy_folder(&data.path(), &folder);
    let ballast = place.join("ballast");
    std::fs::write(&ballast, vec![0; BALLAST]).unwrap();

    let server = Launch::new(&folder).start();
    let client = server.client(&token);
    let incident = client.incident("Before");
    let mut random = Random::new(99);
    let mut kept = Vec::new();
    // Text that does not compress, a megabyte at a time.
    let refused = (0..200).find_map(|i| {
        let text: String = (0..4_000).map(|_| format!("{}\n", random.word(256))).collect();
        let answer = client.upload(&incident, &format!("{i}.log"), text.as_bytes());
        if answer.status == 201 {
            kept.push((answer.json()["id"].as_str().unwrap().to_owned(), text.len()));
            return None;
        }
        Some(answer)
    });
    let problem = refused.expect("the disk was never full").problem(507);
    assert!(problem["detail"].as_str().unwrap().to_lowercase().contains("disk is full"), "{problem}");

    // Fill what is left, so that the smallest change has no room.
    let mut filler = std::fs::File::create(place.join("filler")).unwrap();
    for piece in [1 << 20, 1 << 12, 1] {
        while std::io::Write::write_all(&mut filler, &vec![1; piece]).is_ok() {}
    }
    let mut created = 0;
    let stopped = (0..2_000).any(|i| {
        let title = format!("Filler {i}");
        let body = fumehood_tests::client::incident(&title);
        let answer = client.send("POST", "/api/v1/incidents", &body);
        if answer.status == 507 {
            answer.problem(507);
            return true;
        }
        assert_eq!(answer.status, 201, "{}", answer.text());
        created += 1;
        false
    });
    assert!(stopped, "2,000 incidents were written to a full disk");
    // Reading goes on.
    let total = client.get("/api/v1/incidents").expect(200).json()["total"].as_u64().unwrap();
    assert_eq!(total, 1 + created);
    for (id, _) in &kept {
        client.get(&format!("/api/v1/logs/{id}/findings")).expect(200);
    }

    // Room again, and no restart.
    std::fs::remove_file(place.join("filler")).unwrap();
    std::fs::remove_file(&ballast).unwrap();
    client.incident("After");
    client.upload(&incident, "after.log", b"there is room again\n").expect(201);
    for (id, bytes) in &kept {
        let log = client.get(&format!("/api/v1/logs/{id}")).expect(200).json();
        assert_eq!((log["state"].as_str(), log["text_bytes"].as_u64()), (Some("ready"), Some(*bytes as u64)));
    }
    assert!(server.stop().success());
    let output = fumehood_tests::server::command_on(&folder, &["audit", "verify"]).output().unwrap();
    assert!(output.status.success(), "{}", fumehood_tests::server::text(&output.stdout));
}
