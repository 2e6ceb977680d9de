import Testing
import Vocabulary

@Suite struct PolicyTests {
  @Test func `retention keeps nothing unless a limit is set`() {
    #expect(Retention.none.keepsNothing)
    #expect(!Retention(messages: 1).keepsNothing)
    #expect(!Retention(bytes: 1).keepsNothing)
    #expect(!Retention(age: .seconds(1)).keepsNothing)
  }

  @Test func `attributes are empty unless one is set`() {
    #expect(MessageAttributes.none.isEmpty)
    #expect(!MessageAttributes(contentType: "text/plain").isEmpty)
    #expect(!MessageAttributes(traceParent: "00").isEmpty)
    #expect(!MessageAttributes(traceState: "a=b").isEmpty)
    #expect(!MessageAttributes(user: ["a": ""]).isEmpty)
  }

  @Test func `identities say what they name`() {
    #expect(ClientID(rawValue: 1).description == "client 1")
    #expect(StreamID(rawValue: 2).description == "stream 2")
    #expect(SubscriptionID(rawValue: 3).description == "subscription 3")
    #expect(SegmentIdentity(id: SegmentID(rawValue: 4), epoch: 5).description == "segment 4.5")
  }
}
