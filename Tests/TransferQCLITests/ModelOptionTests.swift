import Foundation
import TestSupport
import Testing
import TransferQLlama

/// `--gpu-layers`, `--context` and `--cache-type`, and what `models info` says of memory.
@Suite struct ModelOptionTests {
    private let program: SharpProgram
    private let greedy = ["generate", "abc", "--method", "greedy", "--max-tokens", "12"]

    init() throws { program = try SharpProgram(seed: 3) }

    @Test func defaultsWrittenOutChangeNothing() throws {
        let plain = try program.run(greedy)
        let written = try program.run(greedy + ["--gpu-layers", "0", "--cache-type", "f32", "--context", "256"])
        #expect(plain.status == 0 && written.status == 0, "\(written.complaints)")
        #expect(plain.output == written.output)
    }

    /// A guided answer holds keys and values of rollouts too. The tiny model's heads are too narrow for blocks of 32 numbers.
    @Test(arguments: LlamaOptions.CacheType.allCases)
    func everyCacheTypeAnswersOrSaysWhyNot(type: LlamaOptions.CacheType) throws {
        let arguments =
            ["generate", "abc", "--reward", "length:3", "--k", "3", "--horizon", "3", "--max-tokens", "4"]
            + ["--cache-type", type.rawValue]
        let run = try program.run(arguments)
        switch type {
        case .f32, .f16, .bf16: #expect(run.status == 0, "\(run.complaints)")
        case .q8, .q5, .q4:
            #expect(
                run.status == 64 && run.complaints.contains("cache-type must be f32, f16 or bf16"), "\(run.complaints)")
            // The demonstration model's are wide enough.
            let real = try ProgramRun.run(arguments + ["--model", "smollm2-135m-instruct"])
            #expect(real.status == 0, "\(real.complaints)")
        }
    }

    @Test func aPromptLongerThanTheContextIsRefused() throws {
        let run = try program.run(greedy + ["--context", "16", "--raw", "--format", "json"])
        #expect(run.status == 0, "\(run.complaints)")
        let refused = try program.run(
            ["generate", String(repeating: "abc ", count: 40), "--raw", "--method", "greedy", "--context", "16"])
        #expect(refused.status == 64)
        #expect(refused.complaints.contains("16"), "\(refused.complaints)")
    }

    @Test(arguments: [
        (["--gpu-layers", "-1"], "gpu-layers must be between 0 and 10000, not -1"),
        (["--context", "1"], "context must be between 2 and 16777216 tokens, not 1"),
    ])
    func numbersOutOfRangeAreNamed(options: [String], sentence: String) throws {
        let run = try program.run(greedy + options)
        #expect(run.status == 64 && run.complaints.contains(sentence), "\(run.complaints)")
    }

    /// Keys and values of one token: layers × heads × (key and value width) numbers; weights: what the file holds of tensors.
    @Test func memoryIsWorkedOutFromTheHeader() throws {
        let file = try GGUFHeader(program.model)
        func number(_ key: String) throws -> Double { try #require(file.number("llama.\(key)")) }
        let width = try number("embedding_length") / number("attention.head_count")
        let numbers = try Int(number("block_count") * number("attention.head_count_kv") * 2 * width)
        let half = try MemoryEstimate(files: [program.model])
        #expect(half.perToken == 2 * numbers)
        #expect(try MemoryEstimate(files: [program.model], cacheType: .f32).perToken == 4 * numbers)
        let size = try #require(try FileManager.default.attributesOfItem(atPath: program.model)[.size] as? Int)
        #expect(half.weights < size && half.weights > size / 2)
        #expect(half.total(tokens: 100, contexts: 2) == half.weights + 100 * half.perToken + 2 * half.compute)

        let shown = try ProgramRun.run(["models", "info", program.model, "--format", "json"])
        let report = try #require(try JSONSerialization.jsonObject(with: Data(shown.output.utf8)) as? [String: Any])
        let memory = try #require((report["memory"] as? [String: Any])?["model"] as? [String: Any])
        #expect(memory["perToken"] as? Int == half.perToken && memory["weights"] as? Int == half.weights)
    }
}
