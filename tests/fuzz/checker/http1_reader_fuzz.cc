// SPDX-License-Identifier: Apache-2.0
// An HTTP/1 response, in pieces of any size.
// Input: a byte of flags (1: the answer to a HEAD; 2: its end goes on for ever), a byte that says how it is cut, the response.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "checker/http1_reader.h"
#include "fuzz/law.h"

// There where AddressSanitizer is: bytes that are allocated.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes() __attribute__((weak));

namespace watchwheel::fuzz {
namespace {

using checker::Http1Reader;
using Step = Http1Reader::Step;

// What may be held for one response: a line that is not whole (its memory may have doubled), what HeadCheck keeps of the lines
// that were, and the trace, which reckons each line with its own cost.
constexpr std::size_t kHeldBytesMax = 4 * checker::kHeadBytesMax + 2 * checker::kTraceBytesMax;

struct Reading {
  Step step = Step::More;
  std::string body;
  std::size_t taken = 0;
  std::optional<std::size_t> head_ends;
};

// One piece, in memory of its own size: a look beyond it would be seen.
void take_piece(Http1Reader& reader, Reading& reading, std::string_view piece) {
  const std::unique_ptr<char[]> exact(new char[piece.size()]);
  piece.copy(exact.get(), piece.size());
  std::string_view bytes(exact.get(), piece.size());
  std::string_view body;
  for (;;) {
    const std::size_t before = bytes.size();
    reading.step = reader.take(bytes, body);
    const char* const end = exact.get() + piece.size();
    LAW(bytes.size() <= before && (bytes.empty() || bytes.data() + bytes.size() == end),
        "bytes are taken from the front", piece);
    LAW((reading.step == Step::Body) == !body.empty(), "a piece of body is never empty", piece);
    LAW(body.empty() ||
            (body.data() >= exact.get() && body.data() + body.size() + bytes.size() == end),
        "a piece of body is what was taken last", piece);
    reading.body += body;
    if (reading.step == Step::Head) {
      LAW(!reading.head_ends, "a header ends once", piece);
      reading.head_ends = reading.taken + piece.size() - bytes.size();
    }
    if (reading.step == Step::Head || reading.step == Step::Body) continue;
    LAW(reading.step != Step::More || bytes.empty(), "what goes on has taken all", piece);
    reading.taken += piece.size() - bytes.size();
    return;
  }
}

std::size_t piece_size(std::uint8_t how, std::size_t index) {
  if (how == 0) return SIZE_MAX;
  if (how < 16) return how;
  return 1 + (how * (index + 7) * 2654435761U >> 13U) % how;
}

Reading read(Http1Reader& reader, std::string_view text, std::uint8_t how) {
  Reading reading;
  for (std::size_t index = 0; !text.empty(); ++index) {
    const std::string_view piece = text.substr(0, piece_size(how, index));
    take_piece(reader, reading, piece);
    if (reading.step != Step::More) break;
    text.remove_prefix(piece.size());
  }
  return reading;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// The body of a chunked text that must be whole to its last byte, by another way; nothing: it is not.
std::optional<std::string> unchunked(std::string_view text) {
  std::string body;
  for (;;) {
    std::uint64_t size = 0;
    std::size_t digits = 0;
    for (; digits < text.size() && hex_value(text[digits]) >= 0; ++digits) {
      if (size >> 60U != 0) return std::nullopt;
      size = size * 16 + static_cast<std::uint64_t>(hex_value(text[digits]));
    }
    const std::size_t line = text.find('\n');
    if (digits == 0 || line == std::string_view::npos) return std::nullopt;
    text.remove_prefix(line + 1);
    if (size == 0) break;
    if (size > text.size()) return std::nullopt;
    body += text.substr(0, size);
    text.remove_prefix(size);
    while (text.starts_with('\r')) text.remove_prefix(1);
    if (!text.starts_with('\n')) return std::nullopt;
    text.remove_prefix(1);
  }
  for (;;) {  // Trailers, until an empty line.
    const std::size_t line = text.find('\n');
    if (line == std::string_view::npos) return std::nullopt;
    const bool empty = line == 0 || (line == 1 && text[0] == '\r');
    text.remove_prefix(line + 1);
    if (empty) break;
  }
  return text.empty() ? std::optional(body) : std::nullopt;
}

void hold_framing_laws(const Http1Reader& reader, const Reading& reading, std::string_view text,
                       bool asked_head) {
  LAW(reader.body_bytes() == reading.body.size(), "bytes of the body are counted", text);
  LAW((reading.step == Step::Bad) == !reader.problem().empty(), "what is bad says why", text);
  LAW(has_no_controls(reader.problem()) && reader.problem().size() <= 400,
      "a problem is one short line", reader.problem());
  LAW(reading.head_ends.has_value() == reader.head().complete(), "a whole header is told", text);
  LAW(reading.head_ends || reading.body.empty(), "no body before its header", text);
  LAW(reading.head_ends || !reader.may_end_here(), "no end before a header", text);
  if (!reading.head_ends || reading.step == Step::Bad) return;
  const std::uint16_t status = reader.head().head().status;
  const bool bodiless = asked_head || status == 204 || status == 304;
  const bool chunked = reader.head().chunked();
  const std::optional<std::uint64_t> length = reader.head().length();
  if (reading.step != Step::Done) {
    LAW(!bodiless, "without a body the header's end is the end", text);
    const bool lacks_last_lf =
        chunked && text.ends_with('\r') &&
        unchunked(std::string(text.substr(*reading.head_ends)) + "\n") == reading.body;
    LAW(reader.may_end_here() == ((!chunked && !length) || lacks_last_lf),
        "it may end where nothing says it goes on", text);
    LAW(chunked || !length || reading.body.size() < *length, "what is whole is told", text);
    return;
  }
  LAW(reader.may_end_here(), "what is whole may end", text);
  const std::string_view sent = text.substr(*reading.head_ends, reading.taken - *reading.head_ends);
  if (bodiless) {
    LAW(sent.empty(), "no body is read where none belongs", text);
  } else if (chunked) {
    const std::optional<std::string> model = unchunked(sent);
    LAW(model && *model == reading.body, "whole chunks are whole", text, sent, reading.body);
  } else {
    LAW(length && *length == reading.body.size() && sent == reading.body,
        "a body is whole by its length", text);
  }
}

std::size_t held_now() {
  return __sanitizer_get_current_allocated_bytes == nullptr
             ? 0
             : __sanitizer_get_current_allocated_bytes();
}

// Its end comes again and again: a header ends or is refused, and memory does not grow.
void hold_endless_laws(std::string_view text, bool asked_head) {
  const std::string_view tail = text.substr(text.size() - text.size() % 61);
  std::string piece;
  while (!tail.empty() && piece.size() < 4096) piece += tail;
  const std::size_t before = held_now();
  Http1Reader reader(asked_head);
  checker::TraceLines lines;
  reader.keep_lines(lines);
  Reading reading = read(reader, text, 0);
  for (std::size_t given = text.size(); given < 4 * checker::kHeadBytesMax; given += piece.size()) {
    if (reading.step != Step::More || piece.empty()) return;
    LAW(reader.head().complete() || given <= 2 * checker::kHeadBytesMax + text.size(),
        "a header without end is told", text);
    take_piece(reader, reading, piece);
    reading.body = std::string{};
    const std::size_t now = held_now();
    LAW(now <= before || now - before <= kHeldBytesMax, "what is held has a limit",
        std::to_string(now - before), text);
  }
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  fuzz::Input input(data, size);
  const std::uint8_t flags = input.byte();
  const std::uint8_t how = input.byte();
  const std::string_view text = input.rest();
  const bool asked_head = (flags & 1U) != 0;

  checker::Http1Reader whole(asked_head);
  const fuzz::Reading once = fuzz::read(whole, text, 0);
  fuzz::hold_framing_laws(whole, once, text, asked_head);

  for (const std::uint8_t cut : {how, std::uint8_t{1}}) {
    checker::Http1Reader reader(asked_head);
    const fuzz::Reading again = fuzz::read(reader, text, cut);
    fuzz::hold_framing_laws(reader, again, text, asked_head);
    LAW(once.step == again.step && once.body == again.body && once.head_ends == again.head_ends &&
            whole.problem() == reader.problem() &&
            whole.chunks_broken() == reader.chunks_broken() &&
            whole.may_end_here() == reader.may_end_here() && whole.begun() == reader.begun() &&
            whole.body_expected() == reader.body_expected() &&
            whole.head().bytes() == reader.head().bytes() &&
            whole.head().head().status == reader.head().head().status,
        "cut in other pieces it says the same", text, whole.problem(), reader.problem());
    LAW(once.step != checker::Http1Reader::Step::Done || once.taken == again.taken,
        "cut in other pieces it ends at the same byte", text);
  }
  if ((flags & 2U) != 0 && !text.empty()) fuzz::hold_endless_laws(text, asked_head);
  return 0;
}
