# svi-serving in containers: one build, three images.
#   docker build --target server -t svi-server .     (likewise: worker, client)
# The worker's image carries the lean LibTorch, for CPUs. Not built by CI: the build machine has no container runtime.
FROM debian:12 AS build
WORKDIR /src
COPY scripts/setup.sh scripts/setup.sh
# The runtime image finds LibTorch by the same absolute path.
ENV SVI_VENV=/opt/svi-venv
RUN scripts/setup.sh
COPY . .
RUN cmake --preset release && cmake --build --preset release --target svi-server svi-worker svi

# Everything that the three binaries ask for, apart from LibTorch. Kept in one layer that they share.
FROM debian:12-slim AS runtime
RUN apt-get update && apt-get install -y --no-install-recommends \
      ca-certificates libgrpc++1.51 libprotobuf32 libabsl20220623 libssl3 libspdlog1.10 libsqlite3-0 libpq5 libcurl4 libpugixml1v5 libicu72 \
      libprometheus-cpp-core1.0 libprometheus-cpp-pull1.0 libavformat59 libavcodec59 libavutil57 libswscale6 && \
    rm -rf /var/lib/apt/lists/* && useradd --system --create-home svi

FROM runtime AS server
COPY --from=build /src/build/release/bin/svi-server /usr/local/bin/
RUN install -d -o svi /data
USER svi
VOLUME /data
EXPOSE 50051 9464
# Others can connect, so it starts only with --tls-cert and --tls-key, or with --allow-plaintext.
ENTRYPOINT ["svi-server", "--listen=0.0.0.0:50051", "--metrics-listen=0.0.0.0:9464", "--data-dir=/data"]

FROM runtime AS worker
# OpenMPI: several worker processes train together.
RUN apt-get update && apt-get install -y --no-install-recommends libopenmpi3 openmpi-bin && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/svi-venv /opt/svi-venv
COPY --from=build /src/build/release/bin/svi-worker /usr/local/bin/
USER svi
EXPOSE 9465
# docker run … svi-worker --server=HOST:50051 --model=/model
ENTRYPOINT ["svi-worker"]

FROM runtime AS client
COPY --from=build /src/build/release/bin/svi /usr/local/bin/
USER svi
ENTRYPOINT ["svi"]
