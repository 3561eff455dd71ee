import Foundation
public import TransferQ

/// Jinja itself, set up as transformers sets it up for chat templates: what templates are compared with.
public enum JinjaReference {
    public struct Answer: Decodable, Equatable, Sendable {
        public let text: String?
        public let error: String?
    }

    /// For each template and conversation: the closed form, and the one that an answer follows.
    public static func render(
        _ templates: [String], conversations: [[Message]], variables: [String: String], date: String
    ) throws -> [[[Answer]]] {
        struct Problem: Encodable {
            let templates: [String]
            let conversations: [[Message]]
            let variables: [String: String]
            let date: String
        }
        let folder = try TemporaryFolder()
        try JSONEncoder().encode(
            Problem(templates: templates, conversations: conversations, variables: variables, date: date)
        ).write(to: folder.file("problem.json"))
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "chat_templates.py").path
        let python = String(decoding: try output(of: [scripts.appending(path: "test-python").path]), as: UTF8.self)
        let input = try FileHandle(forReadingFrom: folder.file("problem.json"))
        let data = try output(of: [python.trimmingCharacters(in: .newlines), script], input: input)
        return try JSONDecoder().decode([[[Answer]]].self, from: data)
    }

    /// The chat templates in the sources of llama.cpp, by name: real ones, of sixty-odd models. Set-up unpacked them.
    public static func realTemplates() throws -> [(name: String, source: String)] {
        let prefix = String(
            decoding: try output(of: [scripts.appending(path: "bootstrap").path, "--print-prefix"]), as: UTF8.self)
        let folder = URL(filePath: prefix.trimmingCharacters(in: .newlines)).appending(
            path: "share/transferq/templates")
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".jinja") }
            .sorted()
            .map { ($0, try String(contentsOf: folder.appending(path: $0), encoding: .utf8)) }
    }

    private static let scripts = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "scripts")

    private static func output(of command: [String], input: FileHandle? = nil) throws -> Data {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = command
        if let input { process.standardInput = input }
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw CocoaError(.executableLoad) }
        return data
    }
}
