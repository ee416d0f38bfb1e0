// SPDX-License-Identifier: Apache-2.0
// The wrappers (gzip's header and trailer, zlib's) are read here, and zlib sees bare deflate only: so it can be told where the stream
// ends and where merely its trailer is missing.
#include "checker/body_decoder.h"

#define ZLIB_CONST  // Input is not written to.
#include <zlib.h>

#include <algorithm>
#include <array>
#include <utility>

namespace watchwheel::checker {
namespace {

constexpr std::size_t kPieceBytes = 16 * 1024;
// What an outer layer may yield, and what may come in, beside twice the body's own cap: stored deflate is hardly longer than its content.
constexpr std::uint64_t kSlackBytes = 64 * 1024;

std::string lower_trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  std::string out(text.substr(first, text.find_last_not_of(" \t") - first + 1));
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

std::uint32_t little_endian(const unsigned char* bytes) {
  return static_cast<std::uint32_t>(bytes[0]) | static_cast<std::uint32_t>(bytes[1]) << 8U |
         static_cast<std::uint32_t>(bytes[2]) << 16U | static_cast<std::uint32_t>(bytes[3]) << 24U;
}

std::uint32_t big_endian(const unsigned char* bytes) {
  return static_cast<std::uint32_t>(bytes[3]) | static_cast<std::uint32_t>(bytes[2]) << 8U |
         static_cast<std::uint32_t>(bytes[1]) << 16U | static_cast<std::uint32_t>(bytes[0]) << 24U;
}

const Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<const Bytef*>(text.data());
}

// RFC 1952, byte by byte.
class GzipHeader {
 public:
  enum class State : std::uint8_t { Going, Done, Bad };

  [[nodiscard]] State take(unsigned char byte) {
    switch (part_) {
      case Part::Fixed:
        return take_fixed(byte);
      case Part::ExtraLength:
        extra_ |= static_cast<std::uint32_t>(byte) << (8U * at_++);
        if (at_ == 2) next(extra_ > 0 ? Part::Extra : Part::Name);
        break;
      case Part::Extra:
        if (++at_ == extra_) next(Part::Name);
        break;
      case Part::Name:
      case Part::Comment:
        if (byte == 0) next(part_ == Part::Name ? Part::Comment : Part::Check);
        break;
      case Part::Check:
        if (++at_ == 2) next(Part::End);
        break;
      case Part::End:
        break;
    }
    return part_ == Part::End ? State::Done : State::Going;
  }

 private:
  enum class Part : std::uint8_t { Fixed, ExtraLength, Extra, Name, Comment, Check, End };

  State take_fixed(unsigned char byte) {
    static constexpr std::array<unsigned char, 3> kMagic{0x1f, 0x8b, 8};
    if (at_ < kMagic.size() && byte != kMagic[at_]) return State::Bad;
    if (at_ == 3) flags_ = byte;
    if (at_ == 3 && (byte & 0xe0U) != 0) return State::Bad;
    if (++at_ == 10) next(Part::ExtraLength);
    return part_ == Part::End ? State::Done : State::Going;
  }
  // Goes to `part`, or beyond it while the flags say that it is not there.
  void next(Part part) {
    at_ = 0;
    if (part == Part::ExtraLength && (flags_ & 4U) == 0) part = Part::Name;
    if (part == Part::Name && (flags_ & 8U) == 0) part = Part::Comment;
    if (part == Part::Comment && (flags_ & 16U) == 0) part = Part::Check;
    if (part == Part::Check && (flags_ & 2U) == 0) part = Part::End;
    part_ = part;
  }

  Part part_ = Part::Fixed;
  std::uint32_t at_ = 0;
  std::uint32_t extra_ = 0;
  unsigned flags_ = 0;
};

enum class Wrapper : std::uint8_t { Gzip, Zlib, None };

}  // namespace

std::optional<std::vector<ContentCoding>> parse_codings(std::string_view header) {
  std::vector<ContentCoding> codings;
  for (;;) {
    const std::size_t comma = header.find(',');
    const std::string name = lower_trimmed(header.substr(0, comma));
    if (name == "gzip" || name == "x-gzip") {
      codings.push_back(ContentCoding::Gzip);
    } else if (name == "deflate") {
      codings.push_back(ContentCoding::Deflate);
    } else if (!name.empty() && name != "identity" && name != "none") {
      return std::nullopt;
    }
    if (codings.size() > kLayersMax) return std::nullopt;
    if (comma == std::string_view::npos) return codings;
    header.remove_prefix(comma + 1);
  }
}

// One coding.
class BodyDecoder::Layer {
 public:
  explicit Layer(ContentCoding coding)
      : gzip_(coding == ContentCoding::Gzip), state_(gzip_ ? State::GzipHead : State::Sniff) {}
  ~Layer() {
    if (ready_) inflateEnd(&stream_);
  }
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  enum class Got : std::uint8_t { Bytes, NeedsMore, Broken, NoMemory };

  // Takes from the front of `piece` and writes into `out`; `written` says how much. NeedsMore: all of `piece` is taken and nothing
  // is left to write.
  [[nodiscard]] Got step(std::string_view& piece, std::array<char, kPieceBytes>& out,
                         std::size_t& written) {
    written = 0;
    taken_any_ = taken_any_ || !piece.empty();
    while (!piece.empty() || output_waits_) {
      switch (state_) {
        case State::GzipHead:
          if (!take_gzip_head(piece)) return Got::Broken;
          break;
        case State::Sniff:
          if (const Got got = take_sniff(piece, out, written); got != Got::NeedsMore) return got;
          break;
        case State::Deflate:
          if (const Got got = inflate_some(piece, out, written); got != Got::NeedsMore) return got;
          break;
        case State::Trailer:
          if (!take_trailer(piece)) return Got::Broken;
          break;
        case State::Junk:
          piece = {};
          break;
      }
    }
    return Got::NeedsMore;
  }

  [[nodiscard]] bool finished() const {
    if (!taken_any_ || state_ == State::Junk || state_ == State::Trailer) return true;
    if (state_ == State::GzipHead) return members_ > 0;  // A further one that is none.
    return state_ == State::Deflate && last_four_ == 0x0000ffffU;
  }
  [[nodiscard]] const char* problem() const { return problem_; }
  [[nodiscard]] std::uint64_t bytes_out() const { return bytes_out_; }
  void add_out(std::size_t bytes) { bytes_out_ += bytes; }
  [[nodiscard]] std::uint64_t& bytes_in() { return bytes_in_; }

 private:
  enum class State : std::uint8_t { GzipHead, Sniff, Deflate, Trailer, Junk };

  bool fail(const char* problem) {
    problem_ = problem;
    return false;
  }

  bool take_gzip_head(std::string_view& piece) {
    while (!piece.empty()) {
      const auto state = gzip_head_.take(static_cast<unsigned char>(piece.front()));
      if (state == GzipHeader::State::Bad) {
        if (members_ == 0) return fail("it does not begin as gzip does");
        state_ = State::Junk;  // Something behind the last member.
        return true;
      }
      piece.remove_prefix(1);
      if (state != GzipHeader::State::Done) continue;
      begin_deflate(Wrapper::Gzip);
      return true;
    }
    return true;
  }

  // "deflate" means zlib's wrapper, but many send it bare, and browsers look.
  Got take_sniff(std::string_view& piece, std::array<char, kPieceBytes>& out,
                 std::size_t& written) {
    while (!piece.empty() && held_ < 2) {
      hold_[held_++] = static_cast<unsigned char>(piece.front());
      piece.remove_prefix(1);
    }
    if (held_ < 2) return Got::NeedsMore;
    held_ = 0;
    const bool zlib = (hold_[0] & 0x0fU) == 8 && (hold_[0] >> 4U) <= 7 &&
                      ((static_cast<unsigned>(hold_[0]) << 8U) + hold_[1]) % 31 == 0 &&
                      (hold_[1] & 0x20U) == 0;
    begin_deflate(zlib ? Wrapper::Zlib : Wrapper::None);
    if (zlib) return Got::NeedsMore;
    std::string_view both(reinterpret_cast<const char*>(hold_.data()), 2);
    return inflate_some(both, out, written);  // Of two bytes nothing is left over.
  }

  void begin_deflate(Wrapper wrapper) {
    wrapper_ = wrapper;
    state_ = State::Deflate;
    sum_ = wrapper == Wrapper::Gzip ? crc32(0, nullptr, 0) : adler32(0, nullptr, 0);
    member_out_ = 0;
    last_four_ = 0xffffffffU;
    fresh_ = true;
  }

  Got prepare() {
    const int code = ready_ ? inflateReset(&stream_) : inflateInit2(&stream_, -MAX_WBITS);
    if (code != Z_OK) return Got::NoMemory;
    ready_ = true;
    fresh_ = false;
    return Got::Bytes;
  }

  Got inflate_some(std::string_view& piece, std::array<char, kPieceBytes>& out,
                   std::size_t& written) {
    if (fresh_ && prepare() == Got::NoMemory) return Got::NoMemory;
    stream_.next_in = bytes_of(piece);
    stream_.avail_in = static_cast<uInt>(std::min<std::size_t>(piece.size(), 1U << 30U));
    const uInt offered = stream_.avail_in;
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int code = inflate(&stream_, Z_NO_FLUSH);
    const std::size_t taken = offered - stream_.avail_in;
    written = out.size() - stream_.avail_out;
    output_waits_ = stream_.avail_out == 0;
    note_tail(piece.substr(0, taken));
    piece.remove_prefix(taken);
    note_output({out.data(), written});
    if (code == Z_STREAM_END) {
      ++members_;
      held_ = 0;
      output_waits_ = false;
      state_ = wrapper_ == Wrapper::None ? State::Junk : State::Trailer;
    } else if (code == Z_MEM_ERROR) {
      return Got::NoMemory;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      problem_ = stream_.msg != nullptr ? stream_.msg : "not deflate data";
      return Got::Broken;
    }
    return written > 0 ? Got::Bytes : Got::NeedsMore;
  }

  void note_tail(std::string_view taken) {
    for (const char c : taken.substr(taken.size() - std::min<std::size_t>(taken.size(), 4)))
      last_four_ = (last_four_ << 8U) | static_cast<unsigned char>(c);
  }
  void note_output(std::string_view bytes) {
    const auto size = static_cast<uInt>(bytes.size());
    sum_ = wrapper_ == Wrapper::Gzip ? crc32(sum_, bytes_of(bytes), size)
                                     : adler32(sum_, bytes_of(bytes), size);
    member_out_ += size;
  }

  bool take_trailer(std::string_view& piece) {
    const std::size_t wanted = wrapper_ == Wrapper::Gzip ? 8 : 4;
    while (!piece.empty() && held_ < wanted) {
      hold_[held_++] = static_cast<unsigned char>(piece.front());
      piece.remove_prefix(1);
    }
    if (held_ < wanted) return true;
    const bool sum_fits =
        (wrapper_ == Wrapper::Gzip ? little_endian(hold_.data()) : big_endian(hold_.data())) ==
        static_cast<std::uint32_t>(sum_);
    if (!sum_fits) return fail("its checksum does not fit");
    if (wrapper_ == Wrapper::Gzip && little_endian(&hold_[4]) != member_out_)
      return fail("its length does not fit");
    held_ = 0;
    gzip_head_ = GzipHeader{};
    state_ = gzip_ ? State::GzipHead : State::Junk;
    return true;
  }

  const bool gzip_;
  State state_;
  Wrapper wrapper_ = Wrapper::None;
  GzipHeader gzip_head_;
  std::array<unsigned char, 8> hold_{};  // The beginning of a wrapper, or a trailer.
  std::size_t held_ = 0;
  bool output_waits_ = false;  // zlib filled all it was given.
  bool taken_any_ = false;
  bool fresh_ = true;
  bool ready_ = false;
  std::size_t members_ = 0;
  std::uint32_t member_out_ = 0;  // Modulo 2^32, as the trailer has it.
  unsigned long sum_ = 0;
  std::uint32_t last_four_ = 0xffffffffU;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  z_stream stream_{};
  const char* problem_ = "";
};

BodyDecoder::BodyDecoder(const std::vector<ContentCoding>& codings, std::uint64_t bytes_max)
    : bytes_max_(bytes_max) {
  for (std::size_t i = codings.size(); i > 0; --i)
    layers_.push_back(std::make_unique<Layer>(codings[i - 1]));
}
BodyDecoder::~BodyDecoder() = default;
BodyDecoder::BodyDecoder(BodyDecoder&&) noexcept = default;
BodyDecoder& BodyDecoder::operator=(BodyDecoder&&) noexcept = default;

BodyDecoder::Step BodyDecoder::feed(std::string_view piece, ByteSink& sink) {
  return run(0, piece, sink);
}

BodyDecoder::Step BodyDecoder::run(std::size_t index, std::string_view piece, ByteSink& sink) {
  Layer& layer = *layers_[index];
  const bool last = index + 1 == layers_.size();
  layer.bytes_in() += piece.size();
  if (layer.bytes_in() > 2 * bytes_max_ + kSlackBytes) return Step::Full;
  std::array<char, kPieceBytes> out;
  for (;;) {
    std::size_t written = 0;
    const Layer::Got got = layer.step(piece, out, written);
    if (written > 0) {
      const std::uint64_t room = bytes_max_ - std::min(layer.bytes_out(), bytes_max_);
      layer.add_out(written);
      const std::string_view bytes(out.data(), written);
      if (last) {
        sink.take(
            bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(room, written))));
        if (written > room) return Step::Full;
      } else if (const Step step = run(index + 1, bytes, sink); step != Step::More) {
        return step;
      }
    }
    switch (got) {
      case Layer::Got::Bytes:
        break;
      case Layer::Got::NeedsMore:
        return Step::More;
      case Layer::Got::Broken:
        problem_ = layer.problem();
        return Step::Broken;
      case Layer::Got::NoMemory:
        return Step::NoMemory;
    }
  }
}

bool BodyDecoder::finished() const {
  return std::all_of(layers_.begin(), layers_.end(),
                     [](const auto& layer) { return layer->finished(); });
}

}  // namespace watchwheel::checker
