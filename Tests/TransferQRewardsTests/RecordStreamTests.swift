import Foundation
import Testing
import TransferQ
import TransferQRewards

/// Files of records as streams: packed, cut, limited, or no file at all.
@Suite struct RecordStreamTests {
    private let files = RecordFiles()

    private func gzip(_ path: String) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["gzip", "-1", path]
        try process.run()
        process.waitUntilExit()
        return path + ".gz"
    }

    @Test func packedFilesAreStreamsAndDamageIsNamed() throws {
        let lines = (0..<2_000).map { #"{"prompt": "Q \#($0)", "response": "a \#($0 &* 2_654_435_761)"}"# }
        let text = lines.joined(separator: "\n")
        let plain = try RewardData.read(try files.file(text))
        let packed = try gzip(try files.file(text))
        let unpacked = try RewardData.read(packed)
        #expect(unpacked.data.completions == plain.data.completions && unpacked.sha256 == plain.sha256)
        let bytes = try Data(contentsOf: URL(filePath: packed))
        // Found by its first bytes, whatever the name.
        #expect(try RewardData.read(try files.file(bytes, "data.bin")).data.completions.count == lines.count)
        let cut = files.complaint(try files.file(bytes.prefix(bytes.count / 2), "cut.jsonl.gz"))
        #expect(cut.contains("cannot unpack") && cut.contains("cut or damaged"), "\(cut)")
        var damaged = bytes
        damaged[damaged.count - 6] ^= 0xFF
        #expect(files.complaint(try files.file(damaged, "bad.jsonl.gz")).contains("cut or damaged"))
        #expect(files.complaint(try files.file(Data("no gzip".utf8), "no.jsonl.gz")).contains("cannot unpack"))
        // Unpacked by whatever brought it.
        #expect(
            try RewardData.read(try files.file(Data(text.utf8), "plain.jsonl.gz")).data.completions.count == lines.count
        )
    }

    @Test func aLimitReadsNoMoreThanItNeeds() throws {
        let good = (0..<3).map { #"{"prompt": "Q \#($0)"}"# }.joined(separator: "\n")
        // Behind the limit lies what would be an error; the piece that is read ahead is a quarter of a MiB.
        let path = try gzip(try files.file(good + "\nnonsense\n" + String(repeating: "x", count: 1 << 20)))
        #expect(try RewardData.prompts(path, limit: 2).map { $0[0].content } == ["Q 0", "Q 1"])
        #expect(try RewardData.prompts(path, limit: 3).count == 3)
        #expect(throws: RewardError.self) { try RewardData.prompts(path, limit: 4) }
        let bytes = try Data(contentsOf: URL(filePath: path))
        #expect(try RewardData.prompts(try files.file(bytes.dropLast(8), "cut.gz"), limit: 2).count == 2)
    }

    @Test func aLineHasALimit() throws {
        var bytes = Data(#"{"prompt": "a", "response": "b"}"#.utf8) + Data("\n{\"prompt\": \"".utf8)
        bytes.append(Data(repeating: UInt8(ascii: "a"), count: 17 << 20))
        bytes += Data("\"}\n".utf8) + Data(#"{"prompt": "c", "response": "d"}"#.utf8)
        let path = try files.file(bytes)
        #expect(files.complaint(path).contains("line 2: it is longer than 16 MiB"))
        let notices = RecordFiles.Notices()
        let data = try RewardData.read(path, options: notices.options(skipsBroken: true)).data
        #expect(RecordFiles.shown(data) == ["user:a → b", "user:c → d"])
        #expect(notices.text.contains("skipped 1 of 3 records: line 2"))
        let list = try files.file(Data("[{\"prompt\": \"".utf8) + Data(repeating: UInt8(ascii: "a"), count: 17 << 20))
        #expect(files.complaint(list).contains("longer than 16 MiB"))
    }

    @Test func aFolderAndAPipeAreTakenForWhatTheyAre() throws {
        let folder = try files.scratch.folder().path
        #expect(files.complaint(folder).contains("this is a folder"))
        let pipe = folder + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        let writer = Process()
        writer.executableURL = URL(filePath: "/bin/sh")
        writer.arguments = ["-c", #"printf '{"prompt": "Q"}\n{"prompt": "R"}\n' > "$0""#, pipe]
        try writer.run()
        #expect(try RewardData.prompts(pipe).count == 2)
        writer.waitUntilExit()
    }

    @Test func conversationsAreReadInTheSameForms() throws {
        let parts = Data(
            #"[{"from": "human", "value": "Hi"}, {"role": "user", "content": [{"type": "text", "text": "x"}]}]"#.utf8)
        #expect(try RewardData.conversation(in: parts, path: "m").map(\.content) == ["Hi", "x"])
        let object = Data(#"{"messages": [{"role": "user", "content": "Hi"}]}"#.utf8)
        #expect(try RewardData.conversation(in: object, path: "m") == [Message(role: "user", content: "Hi")])
        #expect(throws: RewardError.self) { try RewardData.conversation(in: Data("{}".utf8), path: "m") }
        #expect(throws: RewardError.self) { try RewardData.conversation(in: Data("[NaN]".utf8), path: "m") }
        #expect(throws: RewardError.self) { try RewardData.conversation(in: Data("\"Hi\"".utf8), path: "m") }
    }
}
