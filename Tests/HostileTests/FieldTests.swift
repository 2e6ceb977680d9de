import Glibc
import PooledMemory
import TestSupport
import Testing
import Vocabulary

extension Hostile {
  /// Every field of every message, one after the other, with every kind of lie: each is refused or has no effect.
  @Suite struct Fields {
    /// A message of `Schemas/node.proto`: its number in `ClientMessage`, and what its fields say when it is true.
    struct Template {
      let body: UInt64
      let fields: [(number: UInt64, truth: Truth)]
      /// What comes beside it.
      var memory: Descriptor?
    }

    enum Truth {
      case number(UInt64)
      case text(String)
      case message([UInt8])

      func encoded(_ field: UInt64) -> [UInt8] {
        switch self {
        case .number(let number): Wire.number(field, number)
        case .text(let text): Wire.text(field, text)
        case .message(let bytes): Wire.bytes(field, bytes)
        }
      }
    }

    /// A liar with a stream, a subscription and a segment of its own to lie about, and a subscription of an earlier node.
    struct Stage {
      let liar: Liar
      let stream, subscription, segment, epoch: UInt64
      /// No other stage has ids of this life.
      let earlier: UInt64
      let memory: Descriptor

      init(_ bystanders: Bystanders) async throws {
        liar = try await Liar.join(bystanders.socket)
        stream = try await liar.openPublisher("liar/a")
        subscription = try await liar.subscribe("liar/**")
        let leased = try await liar.leaseReady(stream)
        (segment, epoch) = (leased.segment, leased.epoch)
        earlier = 9 << 32 | (stream & 0xffff_ffff) << 8
        let origin = SegmentOrigin(StreamID(rawValue: earlier), try TopicName("liar/a"))
        let file = try SegmentFile.create(id: SegmentID(rawValue: earlier + 3), of: origin, capacity: 65_536)
        memory = Descriptor(dup(file.raw))
        liar.say(Wire.bytes(14, Wire.number(1, earlier) + Wire.text(2, "liar/a")))
        liar.say(Wire.bytes(15, Wire.number(1, earlier + 1) + Wire.text(2, "liar/**")))
      }

      var templates: [Template] {
        let owned: [(UInt64, Truth)] = [(1, .number(segment)), (2, .number(epoch))]
        return [
          Template(body: 1, fields: [(1, .number(1)), (2, .text("liar"))]),
          Template(
            body: 2,
            fields: [
              (1, .number(7)), (2, .text("liar/b")), (3, .number(1)), (4, .number(5)),
              (5, .message([8, 1, 16, 1, 24, 1])),
            ]),
          Template(body: 3, fields: [(1, .number(stream))]),
          Template(
            body: 4,
            fields: [
              (1, .number(7)), (2, .text("liar/*")), (3, .number(0)), (4, .number(1)), (5, .number(9)), (6, .number(9)),
            ]),
          Template(body: 5, fields: [(1, .number(subscription))]),
          Template(
            body: 6,
            fields: [
              (1, .number(7)), (2, .number(stream)), (3, .number(65_536)), (4, .number(1)), (5, .number(8192)),
            ]),
          Template(body: 7, fields: owned), Template(body: 8, fields: owned),
          Template(body: 9, fields: owned + [(3, .number(subscription))]),
          Template(body: 10, fields: [(1, .number(segment)), (2, .number(subscription))]),
          Template(body: 11, fields: [(1, .number(7))]), Template(body: 12, fields: [(1, .number(7))]),
          Template(body: 13, fields: owned + [(3, .number(subscription))]),
          Template(
            body: 14,
            fields: [
              (1, .number(earlier + 2)), (2, .text("liar/c")), (3, .number(1)), (4, .number(5)),
              (5, .message([8, 1, 16, 1, 24, 1])), (6, .number(3)), (7, .message([1, 2, 3])), (8, .number(1)),
            ]),
          Template(
            body: 15,
            fields: [
              (1, .number(earlier + 4)), (2, .text("liar/*")), (3, .number(0)), (4, .number(1)), (5, .number(9)),
              (6, .number(9)), (7, .number(1)),
            ]),
          Template(
            body: 16,
            fields: [(1, .number(earlier + 1)), (2, .number(earlier)), (3, .text("liar/a")), (4, .number(3))]),
          Template(
            body: 17,
            fields: [
              (1, .number(earlier + 3)), (2, .number(1)), (3, .number(65_536)), (4, .number(earlier)),
              (5, .number(earlier + 1)), (6, .number(1)), (7, .number(0)),
            ], memory: memory),
          Template(body: 18, fields: [(1, .number(1))]),
        ]
      }
    }

    @Test func everyFieldOfEveryMessageLies() async throws {
      try await Bystanders.with({ $0.rejoinGrace = .milliseconds(1) }) { bystanders in
        let books = try await bystanders.books()
        let foreign = [
          bystanders.stream.rawValue, books.subscriptions[0].subscription.rawValue,
          books.segments.first?.segment.rawValue ?? 1,
        ]
        var (told, sentAway) = (0, 0)
        var stage = try await Stage(bystanders)
        for message in stage.templates.indices {
          for field in stage.templates[message].fields.indices {
            for lie in Self.lies(about: stage.templates[message].fields[field], foreign: foreign).indices {
              let template = stage.templates[message]
              var encoded = template.fields.map { $0.truth.encoded($0.number) }
              encoded[field] = Self.lies(about: template.fields[field], foreign: foreign)[lie]
              try await stage.liar.insist(
                Wire.bytes(template.body, encoded.flatMap { $0 }), template.memory.map { [$0.raw] } ?? [])
              told += 1
              guard try await !stage.liar.isHeard() else { continue }
              sentAway += 1
              let refusal = try #require(stage.liar.lastRefusal, "message \(template.body), field \(field), lie \(lie)")
              #expect(refusal[1] == 0 && !refusal.text(3).isEmpty)
              stage = try await Stage(bystanders)
            }
          }
        }
        #expect(told > 400 && sentAway > 200, "\(told) told, sent away after \(sentAway)")
      }
    }

    private static func lies(about field: (number: UInt64, truth: Truth), foreign: [UInt64]) -> [[UInt8]] {
      let number = field.number
      let truth = field.truth.encoded(number)
      // Left out, twice, as another type, and with a length that is not so.
      var lies = [
        [], truth + truth, Wire.fixed64(number, 1), Wire.varint(number << 3 | 2) + Wire.varint(1 << 31),
        Wire.varint(number << 3 | 5) + [1, 2, 3, 4], Wire.varint(number << 3 | 7),
      ]
      switch field.truth {
      case .number:
        let numbers: [UInt64] = [0, 1, 2, 77, 4095, UInt64(UInt32.max), 1 << 32, UInt64(Int64.max), 1 << 63, .max]
        lies += (numbers + foreign).map { Wire.number(number, $0) } + [Wire.bytes(number, [1])]
      case .text:
        let texts = [
          [], Array("a\0b".utf8), [0xff, 0xfe], [0xc0, 0x80], [0xed, 0xa0, 0x80], Array("a//b".utf8), Array("/".utf8),
          Array("**/a".utf8), Array("a/b*".utf8), Array("a\u{1b}[2Jb".utf8), [UInt8](repeating: 0x78, count: 256),
          [UInt8](repeating: 0x2f, count: 255), [UInt8](repeating: 0x78, count: 60_000),
        ]
        lies += texts.map { Wire.bytes(number, $0) } + [Wire.number(number, 1)]
      case .message:
        let messages: [[UInt8]] = [
          [], [8], [0xff], Wire.number(1, .max), Wire.number(3, .max), Wire.bytes(1, []),
          Wire.number(1, 1) + Wire.number(1, 1),
        ]
        lies += messages.map { Wire.bytes(number, $0) } + [Wire.number(number, 1)]
      }
      return lies
    }

    /// What a name may be, with the answer that each gets.
    @Test(arguments: [
      ([], "OpenPublisher.topic is no topic: it is empty"), ([UInt8](repeating: 0x61, count: 256), "has 256 bytes"),
      (Array("a\0b".utf8), "holds a NUL"), ([0x61, 0xff], "is not valid UTF-8"), (Array("a/*".utf8), "can't hold '*'"),
      (Array("a//b".utf8), "a level is empty"), (Array("a\n".utf8), "control character"),
    ])
    func topicsThatAreNone(topic: [UInt8], problem: String) async throws {
      try await Bystanders.with { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        liar.say(Say.openPublisher(1, topic: topic))
        let refusal = try #require(try await liar.hearEnd())
        #expect(refusal.text(3).contains(problem), "\(refusal.text(3))")
      }
    }

    @Test(arguments: [
      ([], "it is empty"), (Array("**/a".utf8), "stands for a whole level"),
      (Array("a*".utf8), "stands for a whole level"),
      (Array("a/".utf8), "a level is empty"), ([0x2a, 0x00], "holds a NUL"), ([0xc3, 0x28], "is not valid UTF-8"),
      ([UInt8](repeating: 0x61, count: 300), "has 300 bytes"),
    ])
    func patternsThatAreNone(pattern: [UInt8], problem: String) async throws {
      try await Bystanders.with { bystanders in
        let liar = try await Liar.join(bystanders.socket)
        liar.say(Say.subscribe(1, pattern: pattern))
        let refusal = try #require(try await liar.hearEnd())
        #expect(refusal.text(3).contains(problem), "\(refusal.text(3))")
      }
    }
  }
}
