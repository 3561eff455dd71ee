import Foundation
import Testing
import TransferQ
import TransferQRewards

@Suite struct DataTests {
    private let scratch = Scratch()

    private func file(_ text: String, _ name: String = "data.jsonl") throws -> String {
        let folder = try scratch.folder()
        let path = folder.appending(path: name).path
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test func dialoguesAreReadInBothForms() throws {
        let text = "\\n\\nHuman: Hi\\n\\nAssistant: Yes?\\n\\nHuman: Tea?\\n\\nAssistant:"
        let path = try file(
            """
            {"chosen": "\(text) Gladly.", "rejected": "\(text) No."}
            {"prompt": "Human: Tea?", "chosen": "Gladly.", "rejected": "No."}

            {"chosen": [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Gladly."}], \
            "rejected": [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": ""}]}
            """)
        guard case .pairs(let pairs) = try RewardData.read(path).data else {
            Issue.record("no pairs")
            return
        }
        #expect(pairs.map(\.chosen.text) == ["Gladly.", "Gladly.", "Gladly."])
        #expect(pairs.map(\.rejected.text) == ["No.", "No.", ""])
        #expect(pairs[0].chosen.conversation.map(\.role) == ["user", "assistant", "user"])
        #expect(pairs[0].chosen.conversation.map(\.content) == ["Hi", "Yes?", "Tea?"])
        #expect(pairs[1].chosen.conversation == [Message(role: "user", content: "Tea?")])
        #expect(try RewardData.prompts(path).map { $0.last?.content } == ["Tea?", "Tea?", "Tea?"])
    }

    @Test func labelsAndCompletionsAreRead() throws {
        let labels = try file("{\"text\": \"fine\", \"label\": 1}\n{\"text\": \"bad\", \"label\": false}\n")
        guard case .labelled(let texts) = try RewardData.read(labels).data else {
            Issue.record("no labels")
            return
        }
        #expect(texts.map(\.label) == [true, false])
        #expect(texts.map(\.completion.text) == ["fine", "bad"])
        let answers = try file("{\"prompt\": \"Tea?\", \"response\": \"Yes.\"}\n")
        guard case .completions(let all) = try RewardData.read(answers).data else {
            Issue.record("no completions")
            return
        }
        #expect(all[0].conversation == [Message(role: "user", content: "Tea?")] && all[0].text == "Yes.")
        let prompts = try file("{\"prompt\": \"One?\"}\n{\"messages\": [{\"role\": \"user\", \"content\": \"Two?\"}]}")
        #expect(try RewardData.prompts(prompts).map { $0[0].content } == ["One?", "Two?"])
    }

    @Test func gzippedFilesAreUnpacked() throws {
        let plain = try file("{\"text\": \"fine\", \"label\": 1}\n")
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["gzip", plain]
        try process.run()
        process.waitUntilExit()
        guard case .labelled(let texts) = try RewardData.read(plain + ".gz").data else {
            Issue.record("no labels")
            return
        }
        #expect(texts.count == 1)
        let broken = try file("no gzip", "data.jsonl.gz")
        let error = #expect(throws: RewardError.self) { try RewardData.read(broken) }
        #expect(error?.description.contains("unpack") == true)
    }

    @Test(arguments: [
        ("", "empty"), ("{\"text\": \"a\"}", "line 1: it needs"), ("nonsense", "line 1: this is no JSON"),
        ("{\"text\": \"a\", \"label\": 1}\n{\"text\": \"a\", \"label\": 2}", "line 2: a label must be 0 or 1"),
        ("{\"text\": \"a\", \"label\": 1}\n{\"chosen\": \"a\", \"rejected\": \"b\"}", "line 2: its form differs"),
        ("{\"chosen\": \"\\n\\nHuman: a\", \"rejected\": \"b\"}", "line 1: the last turn"),
        ("{\"text\": \"a\", \"label\": 1}\n\n \n{\"text\": \"a\"}", "line 4: it needs"),
        ("{\"chosen\": \"a\\n\\nHuman: b\\n\\nAssistant: c\", \"rejected\": \"b\"}", "line 1: a dialogue must begin"),
        ("{\"chosen\": 3, \"rejected\": \"b\"}", "line 1: chosen must be a text or a list of messages, not a number"),
    ])
    func badLinesAreNamed(text: String, complaint: String) throws {
        let path = try file(text)
        let error = #expect(throws: RewardError.self) { try RewardData.read(path) }
        #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "")")
    }

    @Test func missingFilesAreNamed() {
        #expect(throws: RewardError.self) { try RewardData.read("/nowhere/data.jsonl") }
        #expect(throws: RewardError.self) { try RewardData.prompts("/nowhere/data.jsonl") }
    }

    /// A safetensors file of the given header and bytes.
    private func safetensors(_ header: String, _ data: [UInt8]) throws -> String {
        let path = try file("", "model.safetensors")
        var bytes = Data()
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { bytes.append(contentsOf: $0) }
        bytes += Data(header.utf8) + Data(data)
        try bytes.write(to: URL(filePath: path))
        return path
    }

    @Test func tensorsOfAllFormatsAreRead() throws {
        func bytes(_ values: [Float]) -> [UInt8] {
            values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
        }
        let header = """
            {"__metadata__": {"format": "pt"}, "score.weight": {"dtype": "F32", "shape": [1, 3], "data_offsets": [0, 12]},
            "half": {"dtype": "F16", "shape": [4], "data_offsets": [12, 20]},
            "brain": {"dtype": "BF16", "shape": [2], "data_offsets": [20, 24]},
            "ids": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]}}
            """
        // 1.5, -2, the smallest subnormal and the largest number of half precision; 1.5 and -0.0078125 of bfloat16.
        let data =
            bytes([1, -2.5, 3e-8]) + [0x00, 0x3E, 0x00, 0xC0, 0x01, 0x00, 0xFF, 0x7B] + [0xC0, 0x3F, 0x00, 0xBC]
            + [UInt8](repeating: 0, count: 8)
        let path = try safetensors(header, data)
        let file = try Safetensors(path: path)
        let head = try #require(try file.tensor(["missing", "score.weight"]))
        #expect(head.values == [1, -2.5, 3e-8] && head.shape == [1, 3] && head.name == "score.weight")
        #expect(try file.tensor(["half"])?.values == [1.5, -2, 5.9604645e-8, 65504])
        #expect(try file.tensor(["brain"])?.values == [1.5, -0.0078125])
        #expect(try file.tensor(["nothing"]) == nil)
        let error = #expect(throws: RewardError.self) { try file.tensor(["ids"]) }
        #expect(error?.description.contains("I64") == true)
        // A folder is as good as the file.
        let folder = URL(filePath: path).deletingLastPathComponent().path
        #expect(try Safetensors(path: folder).tensor(["half"])?.values.count == 4)
    }

    @Test func damagedCheckpointsAreRefused() throws {
        let header = "{\"w\": {\"dtype\": \"F32\", \"shape\": [1, 3], \"data_offsets\": [0, 12]}}"
        let cases = [
            try safetensors(header, [0, 0]), try safetensors("no json", []),
            try safetensors(header.replacing("[0, 12]", with: "[0, 8]"), [UInt8](repeating: 0, count: 12)),
            try safetensors(header.replacing("[1, 3]", with: "[99999999999, 99999999999]"), []), try file("x"),
            try safetensors(header.replacing("[1, 3]", with: "[4611686018427387904]"), []),
            try safetensors(header.replacing("[1, 3]", with: "[-3]"), [UInt8](repeating: 0, count: 12)),
            try safetensors(header.replacing("[0, 12]", with: "[9, -9223372036854775808]"), []),
        ]
        for path in cases {
            #expect(throws: RewardError.self) { try Safetensors(path: path).tensor(["w"]) }
        }
        #expect(throws: RewardError.self) { try Safetensors(path: "/nowhere") }
    }
}
