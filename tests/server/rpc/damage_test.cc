// Artifacts that are not what was stored: nobody gets them for good.
#include <filesystem>
#include <fstream>

#include "tests/server/rpc/service_fixture.h"

namespace svi::server {
namespace {

class DamageTest : public ServiceTest {
 protected:
  void SetUp() override {
    ServiceTest::SetUp();
    name_ = Create(Request({"a", "b"})).name();
    mp4_ = MakeClip(name_);
    MakeClip(name_);
  }
  // One bit of the first clip.
  void Damage(size_t at) {
    std::string bytes = mp4_;
    bytes[at] ^= 1;
    std::ofstream(dir_ + "/artifacts/" + Id(name_) + "/clip-0.mp4", std::ios::binary) << bytes;
  }
  grpc::Status DownloadClip(uint64_t offset, std::string* bytes) {
    grpc::ClientContext context;
    v1::DownloadClipRequest request;
    request.set_name(name_ + "/clips/0");
    request.set_offset(offset);
    auto reader = stub_->DownloadClip(&context, request);
    v1::DownloadResponse response;
    while (reader->Read(&response)) *bytes += response.data();
    return reader->Finish();
  }
  grpc::Status DownloadVideo() {
    grpc::ClientContext context;
    v1::DownloadVideoRequest request;
    request.set_name(name_);
    auto reader = stub_->DownloadVideo(&context, request);
    v1::DownloadResponse response;
    while (reader->Read(&response)) {
    }
    return reader->Finish();
  }

  std::string name_;
  std::string mp4_;
};

TEST_F(DamageTest, AWholeClipIsGivenOut) {
  std::string bytes;
  const grpc::Status status = DownloadClip(0, &bytes);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(bytes, mp4_);
  EXPECT_TRUE(DownloadVideo().ok());
}

TEST_F(DamageTest, ADamagedClipIsDataLossFromAnyOffset) {
  Damage(mp4_.size() / 2);
  for (const uint64_t offset : {size_t{0}, mp4_.size() - 1, mp4_.size()}) {
    std::string bytes;
    const grpc::Status status = DownloadClip(offset, &bytes);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS) << status.error_message();
    EXPECT_LT(offset + bytes.size(), mp4_.size() + (offset == mp4_.size() ? 1 : 0));
    EXPECT_EQ(status.error_message().find(dir_), std::string::npos);
  }
}

TEST_F(DamageTest, AVideoWithADamagedClipIsDataLossAndLeavesNothingBehind) {
  Damage(10);
  const grpc::Status status = DownloadVideo();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS) << status.error_message();
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/joined"));
}

}  // namespace
}  // namespace svi::server
