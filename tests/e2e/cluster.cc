#include "tests/e2e/cluster.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/time/clock.h"

namespace svi::e2e {

namespace fs = std::filesystem;

std::string BinaryPath(const std::string& name) {
  const char* const folder = std::getenv("SVI_BIN_DIR");
  return std::string(folder != nullptr ? folder : SVI_BIN_DIR) + "/" + name;
}
std::string DemoPicture() { return std::string(SVI_SOURCE_DIR) + "/tests/data/boat.jpg"; }

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << "no file " << path;
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

std::string Sha256(const std::string& bytes) {
  std::string digest(32, '\0');
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
             EVP_sha256(), nullptr);
  return digest;
}

std::string HttpGet(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string response;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
    EXPECT_EQ(send(fd, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
    char buffer[4096];
    for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) response.append(buffer, n);
  } else {
    ADD_FAILURE() << "nobody listens on port " << port;
  }
  close(fd);
  const size_t body = response.find("\r\n\r\n");
  return body == std::string::npos ? "" : response.substr(body + 4);
}

Cluster::Cluster() : port_(FreePort()), metrics_port_(FreePort()) {
  std::string name = (fs::path(testing::TempDir()) / "svi_e2e_XXXXXX").string();
  dir_ = mkdtemp(name.data());
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  stub_ = v1::VideoService::NewStub(
      grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments));
}

Cluster::~Cluster() {
  server_.reset();
  std::error_code ec;
  fs::remove_all(dir_, ec);
}

const std::string& Cluster::ModelDir() {
  struct Model {
    Model() {
      std::string name = (fs::path(testing::TempDir()) / "svi_e2e_model_XXXXXX").string();
      dir = mkdtemp(name.data());
      Process make({BinaryPath("svi-worker"), "init-model", "--preset=tiny", "--seed=1", "--out=" + dir});
      EXPECT_EQ(make.Wait(), 0) << make.output();
    }
    ~Model() {
      std::error_code ec;
      fs::remove_all(dir, ec);
    }
    std::string dir;
  };
  static const Model model;
  return model.dir;
}

Process& Cluster::StartServer(const std::vector<std::string>& more_flags) {
  server_.reset();
  std::vector<std::string> args = {BinaryPath("svi-server"),
                                   "--listen=" + address(),
                                   "--metrics-listen=127.0.0.1:" + std::to_string(metrics_port_),
                                   "--data-dir=" + dir_ + "/data",
                                   "--heartbeat-interval=200ms",
                                   "--lease-timeout=3s"};
  args.insert(args.end(), more_flags.begin(), more_flags.end());
  server_ = std::make_unique<Process>(launcher_(std::move(args)));
  server_->WaitForText("svi-server: listening on ");
  return *server_;
}

std::unique_ptr<Process> Cluster::StartWorker(const std::vector<std::string>& more_flags) {
  std::vector<std::string> args = {BinaryPath("svi-worker"), "--server=" + address(),
                                   "--model=" + ModelDir(),  "--metrics-listen=127.0.0.1:0",
                                   "--device=cpu",           "--threads=1"};
  args.insert(args.end(), more_flags.begin(), more_flags.end());
  auto worker = std::make_unique<Process>(launcher_(std::move(args)));
  worker->WaitForText("registered");
  return worker;
}

v1::VideoSpec Cluster::SmallSpec(int prompts, int steps) {
  v1::VideoSpec spec;
  spec.set_image(ReadFile(DemoPicture()));
  for (int i = 0; i < prompts; ++i) spec.add_prompts("a boat sails on the sea, part " + std::to_string(i));
  spec.set_width(64);
  spec.set_height(64);
  spec.set_num_frames(17);
  spec.set_num_inference_steps(steps);
  spec.set_seed(11);
  return spec;
}

v1::Video Cluster::Create(const v1::VideoSpec& spec) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  v1::CreateVideoRequest request;
  *request.mutable_spec() = spec;
  v1::Video video;
  const grpc::Status status = stub_->CreateVideo(&context, request, &video);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return video;
}

v1::Video Cluster::Get(const std::string& name) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  v1::GetVideoRequest request;
  request.set_name(name);
  v1::Video video;
  const grpc::Status status = stub_->GetVideo(&context, request, &video);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return video;
}

std::vector<v1::VideoEvent> Cluster::Watch(const std::string& name,
                                           const std::function<bool(const v1::VideoEvent&)>& done,
                                           absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  std::vector<v1::VideoEvent> durable;
  while (absl::Now() < deadline) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(absl::ToChronoTime(deadline));
    v1::WatchVideoRequest request;
    request.set_name(name);
    request.set_after_sequence(durable.empty() ? 0 : durable.back().sequence());
    auto stream = stub_->WatchVideo(&context, request);
    v1::VideoEvent event;
    while (stream->Read(&event)) {
      if (event.sequence() > 0) {
        EXPECT_EQ(event.sequence(), durable.empty() ? 1 : durable.back().sequence() + 1)
            << "a gap or a repeat";
        durable.push_back(event);
      }
      if (done(event)) {
        context.TryCancel();
        return durable;
      }
    }
    const grpc::Status status = stream->Finish();
    if (status.ok()) return durable;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return durable;
  }
  ADD_FAILURE() << "the watch took longer than " << absl::FormatDuration(timeout);
  return durable;
}

v1::Video Cluster::AwaitEnd(const std::string& name) {
  Watch(name, [](const v1::VideoEvent&) { return false; });
  return Get(name);
}

std::string Cluster::Download(const v1::Clip& clip) {
  grpc::ClientContext context;
  v1::DownloadClipRequest request;
  request.set_name(clip.name());
  auto stream = stub_->DownloadClip(&context, request);
  v1::DownloadResponse chunk;
  std::string bytes, hash;
  while (stream->Read(&chunk)) {
    EXPECT_EQ(chunk.offset(), bytes.size());
    bytes += chunk.data();
    if (!chunk.sha256().empty()) hash = chunk.sha256();
  }
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(bytes.size(), clip.size_bytes());
  EXPECT_EQ(Sha256(bytes), clip.sha256());
  EXPECT_EQ(hash, clip.sha256());
  return bytes;
}

std::vector<std::string> Cluster::DownloadAll(const v1::Video& video) {
  std::vector<std::string> clips;
  for (const v1::Clip& clip : video.clips()) clips.push_back(Download(clip));
  return clips;
}

std::vector<std::string> UndisturbedRun(const v1::VideoSpec& spec) {
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  const v1::Video video = cluster.AwaitEnd(cluster.Create(spec).name());
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
  return cluster.DownloadAll(video);
}

}  // namespace svi::e2e
