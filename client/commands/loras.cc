// svi lora list, get, download, delete.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "client/commands/command.h"
#include "client/file_download.h"

namespace svi::client {
namespace {

namespace fs = std::filesystem;

std::string VariantName(v1::Variant variant) {
  return absl::AsciiStrToLower(absl::StripPrefix(v1::Variant_Name(variant), "VARIANT_"));
}

void PrintRow(Reporter& out, const v1::Lora& lora) {
  if (out.json()) return out.Json(lora);
  out.Line(absl::StrFormat("%-40s %9s  rank %-4d %-4s  %s  %s", lora.name(), ShortSize(lora.size_bytes()),
                           lora.rank(), VariantName(lora.variant()), ShortTime(lora.create_time()),
                           lora.training_run()));
}

// `out` itself if it names a .safetensors file; else the LoRA's own name in the folder `out`.
std::string Target(const std::string& out, const v1::Lora& lora) {
  if (fs::path(out).extension() == ".safetensors") return out;
  const std::string id(absl::StripPrefix(lora.name(), "loras/"));
  return (fs::path(out) / absl::StrCat(fs::path(id).filename().string(), ".safetensors")).string();
}

}  // namespace

int RunLoraList(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  PageFlags pages;
  pages.AddTo(session.flags(), "LoRAs");
  if (std::optional<int> code = session.Start(args, 0, 0)) return *code;
  return PrintPages(
      session, pages, v1::ListLorasRequest(),
      [&](const v1::ListLorasRequest& page) { return session.training().ListLoras(page); },
      [&](const v1::ListLorasResponse& response) {
        for (const v1::Lora& lora : response.loras()) PrintRow(session.out(), lora);
      });
}

int RunLoraGet(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;
  absl::StatusOr<v1::Lora> lora = session.training().GetLora(session.positional()[0]);
  if (!lora.ok()) return session.Fail(lora.status());
  PrintRow(session.out(), *lora);
  return kExitOk;
}

int RunLoraDownload(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  std::string out = ".";
  session.flags().AddString("out", &out, "A folder, or a file that ends in .safetensors");
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;
  absl::StatusOr<v1::Lora> lora = session.training().GetLora(session.positional()[0]);
  if (!lora.ok()) return session.Fail(lora.status());
  const std::string path = Target(out, *lora);
  if (FileMatches(path, lora->size_bytes(), lora->sha256())) {
    session.out().AlreadyThere(lora->name(), path, Hex(lora->sha256()));
    return kExitOk;
  }
  absl::StatusOr<std::unique_ptr<FileDownload>> file = FileDownload::Open(path, lora->sha256());
  if (!file.ok()) return session.Fail(file.status());
  const absl::Status status = session.training().DownloadLora(lora->name(), **file);
  if (!status.ok()) return session.Fail(status);
  session.out().Saved(lora->name(), path, (*file)->size(), (*file)->sha256_hex());
  return kExitOk;
}

int RunLoraDelete(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;
  const absl::Status status = session.training().DeleteLora(session.positional()[0]);
  if (!status.ok()) return session.Fail(status);
  session.out().Line(absl::StrCat("deleted ", LoraResourceName(session.positional()[0])));
  return kExitOk;
}

}  // namespace svi::client
