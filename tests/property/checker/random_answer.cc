// SPDX-License-Identifier: Apache-2.0
#include "property/checker/random_answer.h"

#include <algorithm>

#include "support/gzip.h"

namespace watchwheel::testing {
namespace {

using std::chrono::milliseconds;

std::string hex(std::size_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  do {
    out.insert(out.begin(), kDigits[value % 16]);
    value /= 16;
  } while (value != 0);
  return out;
}

std::string times(std::size_t count, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

}  // namespace

std::string AnswerMaker::line_end(bool odd) {
  if (!odd || in_100(94)) return "\r\n";
  return one_of({"\n", "\n", "\r\r\n", "\r", "\r\n\r\n", " \r\n", ""});
}

std::string AnswerMaker::status_line() {
  if (!odd_head_ || in_100(75)) {
    return one_of({"HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"}) + " " +
           one_of({"200 OK", "200 OK", "200 OK", "200 OK", "200", "200 ", "201 Created",
                   "204 No Content", "205 Reset Content", "206 Partial Content", "301 Moved",
                   "302 Found", "304 Not Modified", "404 Not Found", "418 I'm a teapot",
                   "500 Internal Server Error", "503 Service Unavailable", "999 Odd"}) +
           line_end(odd_head_);
  }
  const std::string version = one_of(
      {"HTTP/1.1",   "HTTP/1.1",  "HTTP/1.1", "HTTP/1.0", "http/1.1",  "Http/1.0",     "HTTP/2",
       "HTTP/2.0",   "HTTP/1.2",  "HTTP/0.9", "HTTP/3",   "HTTP/11.1", "HTTP/1.10",    "HTTP/1.",
       "HTTP/1",     "HTTP/",     "HTTP",     "ICY",      " HTTP/1.1", "\r\nHTTP/1.1", "HTTPS/1.1",
       "HTTP/1.1\t", "HTTP/ 1.1", "",         "X"});
  const std::string code = one_of(
      {"200", "200",  "200",  "200",  "204", "304", "100",          "199",     "101",        "99",
       "099", "000",  "1000", "2000", "20",  "2",   "0200",         "abc",     "+200",       "-200",
       "",    "200x", "2 00", "302",  "600", "999", "100 Continue", "200\xff", "99999999999"});
  return version + one_of({" ", " ", " ", " ", "  ", "\t", "", " \t "}) + code +
         one_of({" OK", " OK", "", " ", "\tOK", " \x01\x7f\xe4", "  two  words ", " a:b"}) +
         line_end(odd_head_);
}

std::string AnswerMaker::header_line(bool odd) {
  if (!odd || in_100(70)) {
    return one_of({"Content-Type: text/html", "Content-Type: application/json",
                   "content-type: text/plain; charset=utf-8", "Server: test", "Connection: close",
                   "Connection: keep-alive", "Date: Thu, 01 Jan 1970 00:00:00 GMT", "X-Filler: 1",
                   "Set-Cookie: a=b", "ETag: \"x\"", "Vary: *", "Accept-Ranges: none"}) +
           line_end(odd);
  }
  if (in_100(4)) return "X: " + std::string(4000 + up_to(200), 'x') + line_end(odd);
  if (in_100(3)) return "X: " + std::string(60'000 + up_to(12'000), 'x') + line_end(odd);
  if (in_100(2)) return times(180 + up_to(30), "X: y\r\n");
  return one_of({"no colon here",
                 ": no name",
                 ":",
                 " folded: x",
                 "\tfolded",
                 " ",
                 "Name : space",
                 "Two Words: x",
                 "X:no-space",
                 "X:",
                 "X: \x01\x02",
                 "X: a\rb",
                 "\rX: y",
                 "\xe4\xf6: \xfc",
                 "X: \xc3\xa4",
                 "Content-Length",
                 "Content-Length : 5",
                 "Transfer-Encoding : chunked",
                 "Trailer: X",
                 "Upgrade: h2c",
                 "Connection: upgrade",
                 "Content-Type:",
                 "Content-Type: \xff",
                 "Content-Encoding: frob",
                 "Content-Encoding: gzip",
                 "Location: /",
                 "Location:",
                 "Retry-After: -1",
                 "Content-Range: bytes 0-4/5",
                 "Transfer-Encoding:",
                 "Transfer-Encoding: identity",
                 "Transfer-Encoding: gzip",
                 "Keep-Alive: timeout=0",
                 "Proxy-Connection: keep-alive",
                 "WWW-Authenticate: Basic realm=\"x\"",
                 "WWW-Authenticate: NTLM",
                 "Alt-Svc: h3=\":443\"",
                 "Strict-Transport-Security: max-age=1",
                 "Refresh: 0"}) +
         line_end(odd);
}

std::string AnswerMaker::body() {
  switch (up_to(9)) {
    case 0:
      return "";
    case 1:
      return "<html><title>Hello</title><body>hello world</body></html>";
    case 2:
      return "{\"state\": \"hello\", \"n\": [1, 2]}";
    case 3:
      return times(20 + up_to(400), "hello and more ");
    case 4:
      return "<html><title>503 Service Unavailable</title><h1>503 Service Unavailable</h1></html>";
    case 5:
      return times(1 + up_to(3), "5\r\nhello\r\n0\r\n\r\n");
    case 6:
      return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    case 7:
      return std::string(3 + up_to(6000), '\0') + "hello";
    default:
      return "hello";
  }
}

std::string AnswerMaker::chunk_end() {
  if (!odd_body_ || in_100(85)) return "\r\n";
  return one_of({"\n", "\r\r\n", "\r", "", " \r\n", "\n\n", "x\r\n", "\r\n\r\n"});
}

std::string AnswerMaker::chunked(std::string_view body) {
  std::string out;
  while (!body.empty()) {
    const std::size_t size = 1 + up_to(std::min<std::size_t>(body.size() - 1, 700));
    std::string told = hex(size);
    if (odd_body_ && in_100(12)) {
      told = one_of({"0x", "-", "+", " ", "g", "", "fffffffffffffffff", "8000000000000000",
                     "7fffffffffffffff", "00000000000000000", "0000", "\t"}) +
             (in_100(50) ? told : "");
    }
    if (in_100(20)) {
      told += one_of({";a=b", ";", " ", "\t", ";a=\"x\r\"", " ;x", ";\x01", ",", " 5"});
      // Beyond 16 KiB ours is refused; libcurl reads on.
      if (odd_body_ && in_100(5)) told += ";" + std::string(up_to(15'000), 'e');
    }
    if (in_100(10)) std::transform(told.begin(), told.end(), told.begin(), ::toupper);
    out += told + chunk_end();
    out += body.substr(0, size);
    if (odd_body_ && in_100(6)) out += one_of({"x", "xx", "\r", "\n"});
    out += chunk_end();
    body.remove_prefix(size);
  }
  out += one_of({"0", "0", "0", "0", "000", "0;x"}) + chunk_end();
  if (in_100(20)) {
    for (std::size_t i = up_to(3); i > 0; --i)
      out += odd_body_ ? header_line(true) : "X-Trailer: 1\r\n";
  }
  return out + chunk_end();
}

// Writes into `head` what says where the body ends, and returns the body as it is sent.
std::string AnswerMaker::framed(std::string& head) {
  std::string text = body();
  if (in_100(20)) {
    text = gzip(text);
    head += "Content-Encoding: gzip" + line_end(odd_head_);
    if (odd_body_ && in_100(30)) text.resize(up_to(text.size()));
  }
  const std::size_t kind = up_to(9);
  if (kind < 4) {
    std::string length = std::to_string(text.size());
    if (odd_head_ && in_100(30)) {
      length = one_of({"", "+", "-", " ", "0", "0x", "1"}) + length +
               one_of({"", "", "", " ", "abc", ",", ", " + length, "\r\n 0", "0", ".0",
                       "99999999999999999999"});
    }
    head += one_of({"Content-Length: ", "content-length:", "CONTENT-LENGTH:   "}) + length +
            line_end(odd_head_);
    if (odd_head_ && in_100(10))
      head += "Content-Length: " + std::to_string(up_to(60)) + line_end(odd_head_);
    return text;
  }
  if (kind < 8) {
    head +=
        (odd_head_ && in_100(25)
             ? one_of({"Transfer-Encoding: Chunked", "Transfer-Encoding: chunked, chunked",
                       "Transfer-Encoding: identity, chunked", "Transfer-Encoding:\tchunked ;x",
                       "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, identity",
                       "Transfer-Encoding: chunkedd", "Transfer-Encoding: \"chunked\"",
                       "Transfer-Encoding: ,chunked,", "transfer-encoding:chunked"})
             : "Transfer-Encoding: chunked") +
        line_end(odd_head_);
    if (odd_head_ && in_100(15))
      head += "Content-Length: " + one_of({"3", "0", "abc", "", "99999999999999999999", "-1"}) +
              line_end(odd_head_);
    return chunked(text);
  }
  return text;
}

std::string AnswerMaker::final_response() {
  std::string head = status_line();
  for (std::size_t i = up_to(4); i > 0; --i) head += header_line(odd_head_);
  if (in_100(15)) head += "Location: " + elsewhere_ + line_end(odd_head_);
  std::string text = framed(head);
  for (std::size_t i = up_to(2); i > 0; --i) head += header_line(odd_head_);
  return head + line_end(odd_head_) + text;
}

void AnswerMaker::mutate(std::string& text) {
  for (std::size_t i = 1 + up_to(2); i > 0 && !text.empty(); --i) {
    // Where it hurts: headers and chunk lines are at the front.
    const std::size_t at =
        up_to(std::min<std::size_t>(text.size() - 1, in_100(70) ? 250 : text.size()));
    switch (up_to(5)) {
      case 0:
        text[at] = static_cast<char>(up_to(255));
        break;
      case 1:
        text.insert(at, 1, one_of({"\r", "\n", ":", " ", "0", "\t", ";", "x"}).front());
        break;
      case 2:
        text.erase(at, 1 + up_to(3));
        break;
      case 3:
        text.insert(at, text.substr(up_to(text.size() - 1), up_to(40)));
        break;
      case 4:
        text.insert(at, one_of({"\r\n", "\n\n", "\r\n\r\n", "\r\n ", "0\r\n\r\n"}));
        break;
      default:
        text[at] = static_cast<char>(text[at] ^ (1 << up_to(7)));
        break;
    }
  }
}

void AnswerMaker::cut(RandomAnswer& answer) {
  std::string_view left = answer.text;
  if (left.size() <= 60 && in_100(15)) {
    answer.script.push_back(drip(answer.text, milliseconds{1}));
    return;
  }
  for (std::size_t i = in_100(50) ? 0 : 1 + up_to(3); i > 0 && !left.empty(); --i) {
    const std::size_t size =
        up_to(in_100(70) ? std::min<std::size_t>(left.size(), 200) : left.size());
    if (size == 0) continue;
    answer.script.push_back(send(std::string(left.substr(0, size))));
    answer.script.push_back(pause(milliseconds{1 + up_to(2)}));
    left.remove_prefix(size);
  }
  if (!left.empty()) answer.script.push_back(send(std::string(left)));
}

void AnswerMaker::add_end(RandomAnswer& answer) {
  const std::size_t kind = up_to(99);
  if (kind < 60) return;  // In good order.
  if (kind < 72) {
    answer.script.push_back(cut_off());
  } else if (kind < 82) {
    answer.script.push_back(pause(milliseconds{15}));  // A reset may overtake what was sent.
    answer.script.push_back(reset());
  } else if (kind < 90) {
    answer.script.push_back(half_close());
    answer.script.push_back(hold());
  } else {
    answer.script.push_back(hold());
  }
}

core::SiteOptions AnswerMaker::options() {
  core::SiteOptions own;
  if (in_100(12)) {
    own.emplace_back("method", "HEAD");
  } else {
    switch (up_to(11)) {
      case 0:
      case 1:
        own.emplace_back("keyword", "hello");
        break;
      case 2:
        own.emplace_back("forbidden", "world");
        break;
      case 3:
        own.emplace_back("body_match", "h.llo\\b");
        break;
      case 4:
        own.emplace_back("json_equals", "/state == \"hello\"");
        break;
      case 5:
        own.emplace_back("max_body", std::to_string(up_to(20)));
        break;
      case 6:
        own.emplace_back("size_max", std::to_string(up_to(3000)));
        break;
      case 7:
        own.emplace_back("size_min", std::to_string(1 + up_to(30)));
        break;
      default:
        break;
    }
  }
  if (in_100(12))
    own.emplace_back("expect_header",
                     one_of({"X-Filler", "!X-Filler", "Content-Type: text/html", "X ~ x+"}));
  if (in_100(25))
    own.emplace_back("expect_status", one_of({"100-999", "200", "204,304", "100-999"}));
  if (in_100(15)) own.emplace_back("redirects", "none");
  if (in_100(8))
    own.emplace_back("header", one_of({"Accept: text/html", "X-Key: 1", "Host: other.example"}));
  if (in_100(4)) own.emplace_back("http_version", one_of({"1.0", "2"}));
  if (in_100(3)) own.emplace_back("user_agent", "Other/1");
  return own;
}

RandomAnswer AnswerMaker::make() {
  RandomAnswer answer;
  odd_head_ = in_100(35);
  odd_body_ = in_100(35);
  answer.tls = in_100(30);
  answer.options = options();
  if (in_100(15)) {
    const std::size_t interim = in_100(80) ? 1 + up_to(2) : 18 + up_to(4);
    for (std::size_t i = 0; i < interim; ++i)
      answer.text += one_of(
          {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n",
           "HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.0 199 Odd\r\nContent-Length: 3\r\n\r\n"});
  }
  answer.text += final_response();
  if (in_100(3)) answer.text = std::string(up_to(300), static_cast<char>(up_to(255)));
  if ((odd_head_ || odd_body_) && in_100(20)) mutate(answer.text);
  if (in_100(20)) answer.text.resize(up_to(answer.text.size()));
  if (in_100(15)) {
    answer.text +=
        one_of({"more", "\r\n", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "0\r\n\r\n"}) +
        std::string(in_100(20) ? up_to(20'000) : 0, 'z');
  }
  cut(answer);
  add_end(answer);
  return answer;
}

}  // namespace watchwheel::testing
