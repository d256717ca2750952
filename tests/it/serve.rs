//! Does the bid endpoint answer what an exchange asks, and survive what it should not be asked?

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use adloupe::data::importers::{self, ImportOptions};
use adloupe::data::{EncodeOptions, dataset, sample};
use adloupe::headless::serve::{Stats, listen, serve};
use adloupe::jobs::{JobContext, Latest};
use adloupe::market::MarketSpec;
use adloupe::market::bidding::RequestBidder;
use adloupe::market::scoring::Inputs;
use adloupe::market::spec::ModelSource;
use adloupe::train::{self, TrainSpec, TrainedModel};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

fn bidder() -> Arc<RequestBidder> {
    static BIDDER: OnceLock<Arc<RequestBidder>> = OnceLock::new();
    Arc::clone(BIDDER.get_or_init(|| bidder_of(1)))
}

/// A bidder by so many models, averaged.
fn bidder_of(members: u64) -> Arc<RequestBidder> {
    let context = JobContext::detached();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    sample::generate(2_000, 5, &path, &context).unwrap();
    let log = importers::open(&path, &ImportOptions::default(), &context).unwrap();
    let dataset = dataset::prepare(&log, &EncodeOptions::default(), &context).unwrap();
    let mut models = Vec::new();
    for seed in 0..members {
        let mut spec = TrainSpec::new("logistic").unwrap();
        spec.set("epochs", "2").unwrap();
        spec.set("seed", &(1 + seed).to_string()).unwrap();
        spec.set("resample", &(members > 1).to_string()).unwrap();
        models.push(Arc::new(train::fit(&dataset, &spec, &Latest::default(), &context).unwrap()));
    }
    let model = match members {
        1 => models.remove(0),
        _ => Arc::new(TrainedModel::ensemble(&models, &dataset, &context).unwrap()),
    };
    let inputs =
        Inputs { log: Arc::new(log), dataset: Arc::new(dataset), model, conversions: None, clicks: None };
    let spec = MarketSpec::new(path, ModelSource::Folder("unused".into()));
    Arc::new(RequestBidder::new(&spec, inputs).unwrap())
}

fn request(floors: &[f64]) -> Value {
    let imps: Vec<Value> = floors
        .iter()
        .enumerate()
        .map(|(k, floor)| json!({"id": format!("{k}"), "bidfloor": floor}))
        .collect();
    json!({"id": "r1", "imp": imps, "at": 2, "tmax": 60_000})
}

#[test]
fn the_best_campaigns_bid_and_floors_hold() {
    let answer = bidder().answer(&request(&[0.0, 0.0, 1e9, 0.0])).unwrap();
    let response = answer.response.unwrap();
    assert_eq!(response["id"], "r1");
    let bids: Vec<&Value> =
        response["seatbid"].as_array().unwrap().iter().map(|seat| &seat["bid"][0]).collect();
    let imps: Vec<&str> = bids.iter().map(|bid| bid["impid"].as_str().unwrap()).collect();
    assert_eq!(imps, ["0", "1", "3"], "nobody reaches a floor of a billion");
    let prices: Vec<f64> = bids.iter().map(|bid| bid["price"].as_f64().unwrap()).collect();
    assert!(prices.is_sorted_by(|a, b| a >= b) && prices[2] > 0.0, "{prices:?}");
    assert_ne!(bids[0]["cid"], bids[1]["cid"], "a campaign bids once");
    let nobody = bidder().answer(&request(&[1e12])).unwrap();
    assert_eq!(nobody.response, None);
}

#[test]
fn the_click_rate_of_an_ensemble_is_answered_with_its_interval() {
    let said = |bidder: &RequestBidder| {
        let response = bidder.answer(&request(&[0.0])).unwrap().response.unwrap();
        response["seatbid"][0]["bid"][0]["ext"]["adloupe"].clone()
    };
    let alone = said(&bidder());
    assert!(alone["pctr"].as_f64().is_some() && alone["pctr_interval"].is_null(), "{alone}");
    let together = said(&bidder_of(3));
    let number = |value: &Value| value.as_f64().unwrap();
    let (low, high) = (number(&together["pctr_interval"][0]), number(&together["pctr_interval"][1]));
    let pctr = number(&together["pctr"]);
    assert!(low < pctr && pctr < high && high < 1.0, "{together}");
}

#[test]
fn unknown_fields_are_passed_over_and_segments_change_the_bid() {
    let mut plain = request(&[0.0]);
    let first = bidder().answer(&plain).unwrap();
    plain["holograms"] = json!({"deep": [1, 2]});
    plain["imp"][0]["video"] = json!({"mimes": ["video/mp4"], "unheard_of": true});
    plain["user"] =
        json!({"id": "nobody known", "data": [{"segment": [{"name": "no such column", "value": "x"}]}]});
    assert_eq!(bidder().answer(&plain).unwrap(), first);
    plain["user"]["data"] = json!([{"segment": [{"name": "device", "value": "ios"}]}]);
    assert_ne!(bidder().answer(&plain).unwrap().response, first.response);
}

#[test]
fn what_is_no_request_is_told_with_its_place() {
    for (wrong, place) in [
        (json!({}), "id"),
        (json!({"id": 5}), "id"),
        (json!({"id": "a"}), "imp"),
        (json!({"id": "a", "imp": []}), "imp"),
        (json!({"id": "a", "imp": [{}]}), "id"),
        (json!({"id": "a", "imp": [{"id": "1", "bidfloor": -1}]}), "bidfloor"),
        (json!({"id": "a", "imp": [{"id": "1", "bidfloor": "dear"}]}), "bidfloor"),
        (json!({"id": "a", "imp": [{"id": "1"}], "tmax": -5}), "tmax"),
        (json!([1, 2]), "id"),
    ] {
        assert_eq!(bidder().answer(&wrong).unwrap_err().place, place, "{wrong}");
    }
}

/// One exchange of bytes on an open connection: status line and body.
fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> (String, String) {
    stream.write_all(bytes).unwrap();
    let (mut read, mut some) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut some).unwrap();
        read.extend_from_slice(&some[..n]);
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return (head.lines().next().unwrap().to_owned(), body.to_owned());
            }
        }
        assert!(n > 0, "the server closed the connection after {text:?}");
    }
}

fn post(body: &str) -> Vec<u8> {
    format!("POST /bid HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn it_serves_http_on_loopback() {
    let listener = listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    assert!(address.ip().is_loopback());
    assert!(listen(address.port()).unwrap_err().hint.contains("--port"), "a port that is taken");
    let cancel = Arc::new(AtomicBool::new(false));
    let server = {
        let cancel = Arc::clone(&cancel);
        std::thread::Builder::new().spawn(move || serve(&listener, &bidder(), &cancel).unwrap()).unwrap()
    };
    let mut stream = TcpStream::connect(address).unwrap();
    for _ in 0..5 {
        let (status, body) = exchange(&mut stream, &post(&request(&[0.0]).to_string()));
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["id"], "r1");
    }
    // The same connection survives a wrong body, no bid, an answer that is too late and a path that is not there.
    assert_eq!(exchange(&mut stream, &post("{")).0, "HTTP/1.1 400 Bad Request");
    assert_eq!(exchange(&mut stream, &post(&request(&[1e12]).to_string())).0, "HTTP/1.1 204 No Content");
    let mut hasty = request(&[0.0]);
    hasty["tmax"] = json!(0);
    assert_eq!(exchange(&mut stream, &post(&hasty.to_string())).0, "HTTP/1.1 204 No Content");
    assert_eq!(exchange(&mut stream, b"GET /elsewhere HTTP/1.1\r\n\r\n").0, "HTTP/1.1 404 Not Found");
    let (_, stats) = exchange(&mut stream, b"GET /stats HTTP/1.1\r\n\r\n");
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(
        (&stats["bids"], &stats["no_bids"], &stats["late"], &stats["refused"]),
        (&5.into(), &2.into(), &1.into(), &1.into())
    );
    assert!(stats["p50_ms"].as_f64().unwrap() <= stats["p99_ms"].as_f64().unwrap());
    // What is no HTTP, too long or in chunks ends its own connection only.
    for wrong in [
        &b"hello\r\n\r\n"[..],
        b"POST /bid HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"POST /bid HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /bid HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let mut other = TcpStream::connect(address).unwrap();
        assert_eq!(exchange(&mut other, wrong).0, "HTTP/1.1 400 Bad Request");
    }
    cancel.store(true, Ordering::Relaxed);
    let stats = server.join().unwrap();
    assert!(stats.quantile_ms(0.99).unwrap() > 0.0);
    assert_eq!(Stats::default().quantile_ms(0.5), None);
}
