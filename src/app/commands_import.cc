// SPDX-License-Identifier: Apache-2.0
#include "app/commands_import.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <system_error>
#include <utility>

#include "app/commands_legacy.h"
#include "app/foreign_list.h"
#include "app/progress_bar.h"
#include "app/site_import.h"
#include "app/site_parents.h"

namespace watchwheel::app {
namespace {

constexpr std::size_t kExportPage = 1000;

ListFormat format_of(const ImportArgs& args) {
  if (!args.format.empty()) return args.format == "jsonl" ? ListFormat::Jsonl : ListFormat::Csv;
  for (const std::string_view end : {".jsonl", ".ndjson", ".json"}) {
    if (args.file.ends_with(end)) return ListFormat::Jsonl;
  }
  return ListFormat::Csv;
}

std::optional<ForeignFormat> foreign_format_of(const ImportArgs& args) {
  if (args.format == "blackbox") return ForeignFormat::Blackbox;
  if (args.format == "gatus") return ForeignFormat::Gatus;
  if (args.format == "uptime-kuma") return ForeignFormat::UptimeKuma;
  return std::nullopt;
}

core::Error unreadable(const std::string& file, const std::string& why) {
  return {core::ErrorKind::Unavailable, file + ": cannot be read: " + why};
}

// The list as something that can be read twice: a file as it is, standard input spooled to a nameless file when `twice`.
class ListInput {
 public:
  [[nodiscard]] core::Result<void> open(const std::string& file, bool twice,
                                        std::istream& standard_input) {
    if (file == "-" && !twice) {
      stream_ = &standard_input;
      return {};
    }
    if (file == "-") return spool(standard_input);
    if (std::filesystem::is_directory(file)) return unreadable(file, "it is a directory");
    file_.open(file, std::ios::in | std::ios::binary);
    if (!file_) return unreadable(file, std::strerror(errno));
    stream_ = &file_;
    std::error_code none;  // A pipe has no size.
    if (std::filesystem::is_regular_file(file, none)) {
      bytes_ = std::filesystem::file_size(file, none);
      if (none) bytes_ = 0;
    }
    return {};
  }

  [[nodiscard]] std::istream& stream() { return *stream_; }
  // How much of it was read; nothing where nobody knows how long it is.
  [[nodiscard]] std::optional<double> share() {
    if (bytes_ == 0) return std::nullopt;
    const std::streamoff at = file_.tellg();
    return at < 0 ? 1.0 : static_cast<double>(at) / static_cast<double>(bytes_);
  }
  void rewind() {
    stream_->clear();
    stream_->seekg(0);
  }

 private:
  core::Result<void> spool(std::istream& in) {
    std::string path =
        (std::filesystem::temp_directory_path() / "watchwheel-import-XXXXXX").string();
    const int fd = ::mkstemp(path.data());
    if (fd < 0) return unreadable("-", std::string("no temporary file: ") + std::strerror(errno));
    ::close(fd);
    file_.open(path, std::ios::in | std::ios::out | std::ios::binary);
    ::unlink(path.c_str());
    std::array<char, 65536> chunk{};
    while (in.read(chunk.data(), chunk.size()), in.gcount() > 0) {
      file_.write(chunk.data(), in.gcount());
      bytes_ += static_cast<std::uintmax_t>(in.gcount());
    }
    if (!file_.flush())
      return unreadable("-", "the temporary file cannot be written; is the disk full?");
    stream_ = &file_;
    rewind();
    return {};
  }

  std::fstream file_;
  std::istream* stream_ = nullptr;
  std::uintmax_t bytes_ = 0;  // 0: nobody knows.
};

void print_summary(const ImportCounts& counts, bool dry_run, std::ostream& out) {
  if (dry_run) {
    out << "would import " << counts.accepted() << ", rejected " << counts.rejected << " of "
        << counts.rows << " (dry run: nothing was written)\n";
    return;
  }
  out << "imported " << counts.accepted() << " (added " << counts.written.added << ", changed "
      << counts.written.changed << ", unchanged " << counts.written.unchanged << "), rejected "
      << counts.rejected << " of " << counts.rows << "\n";
  if (counts.reparented + counts.orphaned != 0)
    out << "parents: changed of " << counts.reparented << " sites, refused of " << counts.orphaned
        << "\n";
}

class ImportCommand {
 public:
  ImportCommand(const ImportArgs& args, const Config& config, Io& io)
      : args_(args), config_(config), io_(io) {}

  int run() {
    if (auto opened = input_.open(args_.file, args_.strict && !args_.dry_run, io_.in); !opened)
      return fail(io_, opened.error());
    if (args_.strict && !args_.dry_run) {
      if (const int status = judge_all(); status != kExitOk) return status;
      input_.rewind();
    }
    return args_.dry_run ? pass(nullptr, nullptr) : write_all();
  }

 private:
  // --strict: reads the whole list before the store is touched.
  int judge_all() {
    ProblemPrinter printer(io_.err);
    ProgressBar bar(io_.err, progress_for(io_, !args_.quiet, false, "reading", "sites"), clock_);
    SiteImport judging(nullptr, args_.file, [&](const Problem& p) {
      bar.clear();
      printer.print(p);
    });
    const auto done = read(judging, bar);
    bar.clear();
    if (!done) return fail(io_, done.error());
    printer.finish();
    const ImportCounts& counts = judging.counts();
    if (counts.rejected == 0 && !counts.unreadable) return kExitOk;
    io_.out << "imported 0, rejected " << counts.rejected << " of " << counts.rows
            << " (strict: nothing was written)\n";
    return kExitBad;
  }

  int write_all() {
    const auto store = open_migrated_store(config_);
    if (!store) return fail(io_, store.error());
    const auto catalog = (*store)->make_site_catalog();
    if (!catalog) return fail(io_, catalog.error());
    if (auto own = check_own_list(**catalog); !own) return fail(io_, own.error());
    const auto parents = (*store)->make_site_parents();
    if (!parents) return fail(io_, parents.error());
    return pass(catalog->get(), parents->get());
  }

  int pass(db::SiteCatalog* catalog, db::SiteParents* parents) {
    ProblemPrinter printer(io_.err);
    ProgressBar bar(io_.err,
                    progress_for(io_, !args_.quiet, false,
                                 catalog == nullptr ? "reading" : "importing", "sites"),
                    clock_);
    SiteImport import(
        catalog, args_.file,
        [&](const Problem& p) {
          bar.clear();
          printer.print(p);
        },
        parents);
    const auto done = read(import, bar);
    bar.clear();
    printer.finish();
    const ImportCounts& counts = import.counts();
    if (!done) {
      const db::UpsertCounts& w = import.counts().written;
      return fail(io_, kExitTrouble,
                  done.error().message + "; stopped after " +
                      std::to_string(w.added + w.changed + w.unchanged) +
                      " sites, which are in the store; run the same import again when it is back");
    }
    print_summary(counts, args_.dry_run, io_.out);
    return counts.rejected + counts.orphaned == 0 && !counts.unreadable ? kExitOk : kExitBad;
  }

  core::Result<void> read(SiteImport& import, ProgressBar& bar) {
    const auto foreign = foreign_format_of(args_);
    const auto reader =
        foreign ? make_foreign_reader({*foreign, args_.file, args_.modules}, input_.stream(),
                                      config_.checks)
                : make_site_reader(format_of(args_), input_.stream(), args_.file, config_.checks);
    const auto progress = [&] { bar.update(import.counts().rows, input_.share()); };
    if (auto done = import.run(*reader, progress); !done) return done;
    if (input_.stream().bad()) return unreadable(args_.file, "the reading failed half-way");
    return {};
  }

  const ImportArgs& args_;
  const Config& config_;
  Io& io_;
  const core::SystemClock clock_;
  ListInput input_;
};

}  // namespace

int import_sites(const ImportArgs& args, Io& io) {
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  return ImportCommand(args, *config, io).run();
}

int export_sites(const ExportArgs& args, Io& io) {
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto store = open_migrated_store(*config);
  if (!store) return fail(io, store.error());
  const auto catalog = (*store)->make_site_catalog();
  if (!catalog) return fail(io, catalog.error());
  const auto parents = (*store)->make_site_parents();
  if (!parents) return fail(io, parents.error());
  if (args.format == ListFormat::Csv) write_csv_header(io.out);
  const core::SystemClock clock;
  ProgressBar bar(io.err, progress_for(io, !args.quiet, true, "exporting", "sites"), clock);
  const auto all = (*catalog)->count();
  std::uint64_t written = 0;
  core::SiteId after;
  for (;;) {
    auto page = (*catalog)->list({}, after, kExportPage);
    if (!page) return fail(io, page.error());
    if (const auto shown = show_parents(**parents, *page); !shown) return fail(io, shown.error());
    for (const db::SiteView& site : *page) {
      if (args.format == ListFormat::Csv) {
        write_csv_row(io.out, site.record);
      } else {
        io.out << site_jsonl(site.record) << "\n";
      }
    }
    written += page->size();
    bar.update(written, share_of(written, all ? *all : 0));
    if (page->size() < kExportPage || !io.out) return kExitOk;
    after = page->back().record.id;
  }
}

}  // namespace watchwheel::app
