// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// As Peers/Makefile has them.
#if arch(x86_64)
  let peerFlags = ["-O3", "-march=native", "-mprefer-vector-width=512"]
#else
  let peerFlags = ["-O3", "-march=native"]
#endif

// A package of its own, so that who uses PoolBus gets nothing of it.
let package = Package(
  name: "Benchmarks",
  dependencies: [
    .package(name: "PoolBus", path: "../.."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    .package(url: "https://github.com/ordo-one/TextTable", from: "0.0.2"),
  ],
  targets: [
    .executableTarget(
      name: "bench",
      dependencies: [
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
        .product(name: "TextTable", package: "TextTable"),
      ],
      path: "Driver", swiftSettings: swiftSettings),
    .executableTarget(
      name: "poolbus-peer", dependencies: ["CPeer", .product(name: "PoolBus", package: "PoolBus")],
      path: "PoolBusPeer", swiftSettings: swiftSettings),
    .testTarget(name: "BenchTests", dependencies: ["bench"], path: "Tests", swiftSettings: swiftSettings),
    .target(name: "CPeer", path: "CPeer", cSettings: [.unsafeFlags(peerFlags)]),
  ]
)
