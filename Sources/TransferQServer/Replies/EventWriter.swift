import Hummingbird
import NIOCore
import TransferQEvaluation

/// Writes a reply as server-sent events: the only place that does. Every event is flushed, and the next one waits until the
/// connection has taken it.
struct EventWriter {
    private var writer: any ResponseBodyWriter

    init(_ writer: any ResponseBodyWriter) { self.writer = writer }

    /// - Throws: ``AnswerEnd/clientGone`` where the connection takes nothing more.
    mutating func send(_ value: some Encodable) async throws { try await write("data: \(try JSON.line(value))\n\n") }

    /// The mark that OpenAI's clients read up to.
    mutating func done() async throws { try await write("data: [DONE]\n\n") }

    mutating func finish() async throws {
        do { try await writer.finish(nil) } catch { throw AnswerEnd.clientGone }
    }

    private mutating func write(_ text: String) async throws {
        do { try await writer.write(ByteBuffer(string: text)) } catch { throw AnswerEnd.clientGone }
    }
}
