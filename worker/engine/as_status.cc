#include "worker/engine/as_status.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <new>
#include <system_error>

#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/lora/lora_library.h"
#include "worker/engine/nn/device.h"

namespace svi::engine {

absl::Status ToStatus(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const StatusError& e) {
    return e.status;
  } catch (const MissingFile& e) {
    return absl::NotFoundError(e.what());
  } catch (const UnknownLora& e) {
    return absl::NotFoundError(e.what());
  } catch (const NoSuchDevice& e) {
    return absl::FailedPreconditionError(e.what());
  } catch (const std::invalid_argument& e) {
    return absl::InvalidArgumentError(e.what());
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::no_such_file_or_directory) return absl::NotFoundError(e.what());
    return absl::InternalError(std::string("the engine failed: ") + e.what());
  } catch (const c10::OutOfMemoryError&) {
    return absl::ResourceExhaustedError("out of device memory");
  } catch (const c10::Error& e) {
    const std::string text = e.what_without_backtrace();
    if (text.find("can't allocate memory") != std::string::npos)
      return absl::ResourceExhaustedError("out of memory");
    return absl::InternalError("the engine failed: " +
                               text.substr(0, std::min<size_t>(text.find('\n'), 200)));
  } catch (const std::exception& e) {
    return absl::InternalError(std::string("the engine failed: ") + e.what());
  } catch (...) {
    return absl::InternalError("the engine failed");
  }
}

}  // namespace svi::engine
