// SPDX-License-Identifier: Apache-2.0
#include "checker/charset.h"

#include <iconv.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "checker/safe_text.h"

namespace watchwheel::checker {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

struct Labelled {
  Charset charset;
  // Without anything but letters and digits, in lower case; between spaces.
  std::string_view labels;
};

// The encodings of the HTML standard with their labels, as far as browsers still meet them. ISO-8859-1 and ASCII mean
// windows-1252 there, ISO-8859-9 means windows-1254, GBK and GB2312 mean GB18030.
constexpr std::array<Labelled, 33> kCharsets{{
    {{"UTF-8", "UTF-8", 1, false}, " utf8 unicode11utf8 unicode20utf8 xunicode20utf8 "},
    {{"windows-1252", "CP1252", 1, true},
     " windows1252 cp1252 xcp1252 iso88591 iso885911987 latin1 l1 ascii usascii ansix341968 ibm819 "
     "cp819 isoir100 csisolatin1 "},
    {{"ISO-8859-2", "ISO-8859-2", 1, true},
     " iso88592 iso885921987 latin2 l2 isoir101 csisolatin2 "},
    {{"ISO-8859-3", "ISO-8859-3", 1, true},
     " iso88593 iso885931988 latin3 l3 isoir109 csisolatin3 "},
    {{"ISO-8859-4", "ISO-8859-4", 1, true},
     " iso88594 iso885941988 latin4 l4 isoir110 csisolatin4 "},
    {{"ISO-8859-5", "ISO-8859-5", 1, true},
     " iso88595 iso885951988 cyrillic isoir144 csisolatincyrillic "},
    {{"ISO-8859-6", "ISO-8859-6", 1, true},
     " iso88596 iso885961987 arabic asmo708 ecma114 isoir127 csisolatinarabic iso88596e "
     "iso88596i "},
    {{"ISO-8859-7", "ISO-8859-7", 1, true},
     " iso88597 iso885971987 greek greek8 sungeekgreek elot928 ecma118 isoir126 csisolatingreek "},
    {{"ISO-8859-8", "ISO-8859-8", 1, true},
     " iso88598 iso885981988 hebrew visual isoir138 csisolatinhebrew iso88598e iso88598i logical "},
    {{"ISO-8859-10", "ISO-8859-10", 1, true}, " iso885910 latin6 l6 isoir157 csisolatin6 "},
    {{"ISO-8859-13", "ISO-8859-13", 1, true}, " iso885913 "},
    {{"ISO-8859-14", "ISO-8859-14", 1, true}, " iso885914 "},
    {{"ISO-8859-15", "ISO-8859-15", 1, true}, " iso885915 latin9 l9 csisolatin9 "},
    {{"ISO-8859-16", "ISO-8859-16", 1, true}, " iso885916 "},
    {{"KOI8-R", "KOI8-R", 1, true}, " koi8r koi8 koi cskoi8r "},
    {{"KOI8-U", "KOI8-U", 1, true}, " koi8u koi8ru "},
    {{"macintosh", "MACINTOSH", 1, true}, " macintosh mac xmacroman csmacintosh "},
    {{"IBM866", "IBM866", 1, true}, " ibm866 cp866 866 csibm866 "},
    {{"windows-874", "CP874", 1, true}, " windows874 tis620 iso885911 dos874 "},
    {{"windows-1250", "CP1250", 1, true}, " windows1250 cp1250 xcp1250 "},
    {{"windows-1251", "CP1251", 1, true}, " windows1251 cp1251 xcp1251 "},
    {{"windows-1253", "CP1253", 1, true}, " windows1253 cp1253 xcp1253 "},
    {{"windows-1254", "CP1254", 1, true},
     " windows1254 cp1254 xcp1254 iso88599 iso885991989 latin5 l5 isoir148 csisolatin5 "},
    {{"windows-1255", "CP1255", 1, true}, " windows1255 cp1255 xcp1255 "},
    {{"windows-1256", "CP1256", 1, true}, " windows1256 cp1256 xcp1256 "},
    {{"windows-1257", "CP1257", 1, true}, " windows1257 cp1257 xcp1257 "},
    {{"windows-1258", "CP1258", 1, true}, " windows1258 cp1258 xcp1258 "},
    {{"gb18030", "GB18030", 1, false},
     " gb18030 gbk xgbk gb2312 gb231280 chinese csgb2312 csiso58gb231280 isoir58 "},
    {{"Big5", "BIG5-HKSCS", 1, false}, " big5 big5hkscs cnbig5 xxbig5 csbig5 "},
    {{"EUC-JP", "EUC-JP-MS", 1, false}, " eucjp xeucjp cseucpkdfmtjapanese "},
    {{"Shift_JIS", "CP932", 1, false},
     " shiftjis sjis xsjis windows31j ms932 mskanji csshiftjis cp932 "},
    {{"EUC-KR", "UHC", 1, false},
     " euckr ksc5601 ksc56011987 ksc56011989 ks56011987 windows949 korean isoir149 cseuckr "
     "csksc56011987 cp949 uhc "},
    {{"UTF-16LE", "UTF-16LE", 2, false}, " utf16 utf16le unicode ucs2 iso10646ucs2 csunicode "},
}};
constexpr Charset kUtf16Be{"UTF-16BE", "UTF-16BE", 2, false};

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}
char small(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
std::string small(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = small(c);
  return out;
}
std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The value behind the next "charset=" of a Content-Type or of a meta element's content; "" when there is none.
std::string_view charset_parameter(std::string_view text) {
  const std::string plain = small(text);
  for (std::size_t at = plain.find("charset"); at != std::string::npos;
       at = plain.find("charset", at + 1)) {
    std::string_view rest = trimmed(text.substr(at + 7));
    if (rest.empty() || rest.front() != '=') continue;
    rest = trimmed(rest.substr(1));
    if (rest.empty()) return {};
    if (rest.front() == '"' || rest.front() == '\'') {
      const std::size_t end = rest.find(rest.front(), 1);
      return end == std::string_view::npos ? rest.substr(1) : rest.substr(1, end - 1);
    }
    return rest.substr(0, std::min(rest.find_first_of("; \t\r\n,"), rest.size()));
  }
  return {};
}

bool is_markup(std::string_view content_type) {
  const std::string type = small(content_type);
  return trimmed(type).empty() || type.find("html") != std::string::npos ||
         type.find("xml") != std::string::npos;
}

// One attribute of a tag whose name has been read; `rest` moves behind it. False at the tag's end.
bool next_attribute(std::string_view& rest, std::string& name, std::string_view& value) {
  while (!rest.empty() && (is_space(rest.front()) || rest.front() == '/')) rest.remove_prefix(1);
  if (rest.empty() || rest.front() == '>') return false;
  const std::size_t name_end = std::min(rest.find_first_of("= \t\r\n\f/>", 1), rest.size());
  name = small(rest.substr(0, name_end));
  rest.remove_prefix(name_end);
  value = {};
  while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
  if (rest.empty() || rest.front() != '=') return true;
  rest.remove_prefix(1);
  while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
  if (rest.empty()) return true;
  std::size_t end = 0;
  if (rest.front() == '"' || rest.front() == '\'') {
    const char quote = rest.front();
    rest.remove_prefix(1);
    end = std::min(rest.find(quote), rest.size());
    value = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  } else {
    end = std::min(rest.find_first_of(" \t\r\n\f>"), rest.size());
    value = rest.substr(0, end);
    rest.remove_prefix(end);
  }
  return true;
}

// `rest` begins behind "<meta".
std::string_view charset_of_meta(std::string_view& rest) {
  std::string name;
  std::string_view value;
  std::string_view direct;
  std::string_view content;
  bool content_type = false;
  while (next_attribute(rest, name, value)) {
    if (name == "charset") direct = value;
    if (name == "content") content = charset_parameter(value);
    if (name == "http-equiv") content_type = small(trimmed(value)) == "content-type";
  }
  if (rest.empty()) return {};  // Cut off: it may say otherwise behind the cut.
  if (!direct.empty()) return direct;
  return content_type ? content : std::string_view{};
}

std::string_view charset_of_xml(std::string_view head) {
  if (head.substr(0, 5) != "<?xml") return {};
  const std::size_t end = head.find("?>");
  if (end == std::string_view::npos) return {};
  std::string_view rest = head.substr(5, end - 5);
  std::string name;
  std::string_view value;
  while (next_attribute(rest, name, value)) {
    if (name == "encoding") return value;
  }
  return {};
}

// The first declaration in the markup, as the HTML standard's prescan reads it: comments are skipped, other tags are not looked into.
std::string_view charset_in_page(std::string_view head) {
  if (const std::string_view label = charset_of_xml(head); !label.empty()) return label;
  std::string_view rest = head;
  for (;;) {
    const std::size_t open = rest.find('<');
    if (open == std::string_view::npos) return {};
    rest.remove_prefix(open);
    if (rest.substr(0, 4) == "<!--") {
      const std::size_t end = rest.find("-->", 2);
      if (end == std::string_view::npos) return {};
      rest.remove_prefix(end + 3);
    } else if (rest.size() > 5 && small(rest.substr(0, 5)) == "<meta" &&
               (is_space(rest[5]) || rest[5] == '/')) {
      rest.remove_prefix(5);
      if (const std::string_view label = charset_of_meta(rest); !label.empty()) return label;
    } else {
      rest.remove_prefix(1);
    }
  }
}

std::string_view decode_table(const std::array<std::array<char, 4>, 256>& table,
                              std::string_view piece, ToUtf8::Buffer& buffer) {
  std::size_t size = 0;
  for (const char c : piece) {
    const auto& entry = table[static_cast<unsigned char>(c)];
    std::memcpy(buffer.data() + size, entry.data() + 1, 3);
    size += static_cast<std::size_t>(entry[0]);
  }
  return {buffer.data(), size};
}

}  // namespace

const Charset* find_charset(std::string_view label) {
  std::string key = " ";
  for (const char c : label.substr(0, 64)) {
    const char s = small(c);
    if ((s >= 'a' && s <= 'z') || (s >= '0' && s <= '9')) key.push_back(s);
  }
  key.push_back(' ');
  if (key.size() == 2) return nullptr;
  if (key == " utf16be " || key == " unicodefffe ") return &kUtf16Be;
  for (const Labelled& known : kCharsets) {
    if (known.labels.find(key) != std::string_view::npos) return &known.charset;
  }
  return nullptr;
}

bool is_utf8(const Charset& charset) {
  return &charset == &kCharsets[0].charset;
}
bool is_ascii_based(const Charset& charset) {
  return charset.unit == 1;
}

std::size_t declaration_bytes(std::string_view content_type) {
  const bool in_page = charset_parameter(content_type).empty() && is_markup(content_type);
  return in_page ? kDeclarationBytesMax : 3;
}

Declaration declared_charset(std::string_view content_type, std::string_view head) {
  Declaration said;
  const auto mark = [&](std::string_view bytes, const char* label) {
    if (said.charset != nullptr || head.substr(0, bytes.size()) != bytes) return;
    said = {Declaration::Source::ByteOrderMark, label, find_charset(label), bytes.size()};
  };
  mark("\xef\xbb\xbf", "UTF-8");
  mark("\xff\xfe", "UTF-16LE");
  mark("\xfe\xff", "UTF-16BE");
  if (said.charset != nullptr) return said;

  std::string_view label = trimmed(charset_parameter(content_type));
  said.source = Declaration::Source::Header;
  if (label.empty() && is_markup(content_type)) {
    label = trimmed(charset_in_page(head.substr(0, kDeclarationBytesMax)));
    said.source = Declaration::Source::Page;
  }
  if (label.empty()) return {};
  said.label = printable(label, 40);
  said.charset = find_charset(label);
  if (said.charset != nullptr && said.source == Declaration::Source::Page &&
      !is_ascii_based(*said.charset)) {
    said.charset = &kCharsets[0].charset;
  }
  return said;
}

// ---- decoding ----

struct Decoders::Decoder {
  explicit Decoder(const Charset& which) : charset(which) {}
  ~Decoder() {
    if (descriptor != none()) iconv_close(descriptor);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  static iconv_t none() { return reinterpret_cast<iconv_t>(-1); }  // As iconv_open() says no.

  [[nodiscard]] bool open();
  void make_table();
  [[nodiscard]] std::size_t convert(std::string_view& in, char* out, std::size_t room, bool& whole);

  const Charset& charset;
  iconv_t descriptor = none();
  // Of a charset of one byte a character: for each byte how long its UTF-8 is, and the UTF-8. iconv itself would join letters
  // with what follows them (windows-1255 and -1258), so that a cut between the two would be seen.
  std::array<std::array<char, 4>, 256> table{};
};

bool Decoders::Decoder::open() {
  descriptor = iconv_open("UTF-8", charset.iconv);
  if (descriptor == none()) return false;
  if (charset.one_byte) {
    make_table();
    iconv_close(std::exchange(descriptor, none()));
  }
  return true;
}

void Decoders::Decoder::make_table() {
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const char in = static_cast<char>(byte);
    std::array<char, 16> out{};
    std::string_view rest(&in, 1);
    bool whole = false;
    std::size_t size = convert(rest, out.data(), out.size(), whole);
    if (size == 0 || size > 3) {
      size = kReplacement.size();
      std::memcpy(out.data(), kReplacement.data(), size);
    }
    table[byte][0] = static_cast<char>(size);
    std::memcpy(table[byte].data() + 1, out.data(), size);
  }
}

// iconv leaves the bad character as the next one. glibc 2.36 has already stepped over this one, a pair that UHC got late; to skip
// a byte more would take the first half of the character behind it.
bool steps_over(const Charset& charset, std::string_view taken) {
  return taken.ends_with("\xa2\xe8") && std::string_view(charset.iconv) == "UHC";
}

// Converts what it can and leaves the rest in `in`; `whole`: that rest, if any, is the begin of a character.
std::size_t Decoders::Decoder::convert(std::string_view& in, char* out, std::size_t room,
                                       bool& whole) {
  char* from =
      const_cast<char*>(in.data());  // iconv() only reads it, and has said so since before const.
  std::size_t left = in.size();
  char* to = out;
  whole = false;
  for (;;) {
    const std::string_view before(from, left);
    if (iconv(descriptor, &from, &left, &to, &room) != static_cast<std::size_t>(-1)) break;
    if (errno != EILSEQ) {
      whole = errno == EINVAL;
      break;
    }
    const bool stepped_over = steps_over(charset, before.substr(0, before.size() - left));
    const std::size_t skipped = stepped_over ? 0 : std::min<std::size_t>(left, charset.unit);
    if (skipped == 0 && !stepped_over) break;
    from += skipped;
    left -= skipped;
    if (room < kReplacement.size()) break;
    std::memcpy(to, kReplacement.data(), kReplacement.size());
    to += kReplacement.size();
    room -= kReplacement.size();
  }
  // Nothing of this page stays in the descriptor; what was pending in it is given out.
  iconv(descriptor, nullptr, nullptr, &to, &room);
  in = {from, left};
  return static_cast<std::size_t>(to - out);
}

Decoders::Decoders() = default;
Decoders::~Decoders() = default;

Decoders::Decoder* Decoders::decoder(const Charset& charset) {
  for (const auto& [known, decoder] : known_) {
    if (known == &charset) return decoder.get();
  }
  auto made = std::make_unique<Decoder>(charset);
  if (!made->open()) made.reset();  // Remembered too: nobody installs a module under us.
  known_.emplace_back(&charset, std::move(made));
  return known_.back().second.get();
}

std::string_view ToUtf8::next(std::string_view& piece, Buffer& buffer) {
  if (decoder_->charset.one_byte) {
    const std::string_view part = piece.substr(0, kPieceMax);
    piece.remove_prefix(part.size());
    return decode_table(decoder_->table, part, buffer);
  }
  std::array<char, kPieceMax + kRestMax> joined;
  std::memcpy(joined.data(), rest_.data(), rest_bytes_);
  const std::size_t taken = std::min(piece.size(), kPieceMax);
  std::memcpy(joined.data() + rest_bytes_, piece.data(), taken);
  piece.remove_prefix(taken);
  std::string_view in(joined.data(), rest_bytes_ + taken);
  std::size_t size = 0;
  for (;;) {
    bool begun = false;
    size += decoder_->convert(in, buffer.data() + size, buffer.size() - size, begun);
    if (in.empty() || (begun && in.size() <= kRestMax)) break;
    in.remove_prefix(
        1);  // No module of the list stops here; should one, the page is still read to its end.
  }
  rest_bytes_ = in.size();
  std::memcpy(rest_.data(), in.data(), in.size());
  return {buffer.data(), size};
}

std::string_view ToUtf8::finish() {
  return std::exchange(rest_bytes_, 0) == 0 ? std::string_view{} : kReplacement;
}

}  // namespace watchwheel::checker
