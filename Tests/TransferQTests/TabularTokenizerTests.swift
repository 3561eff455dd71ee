import Testing
import TransferQ
import TransferQTheory

@Suite struct TabularTokenizerTests {
    @Test func textsAreTheTokensThatTheyWereWrittenAs() throws {
        let tokenizer = TabularTokenizer(size: 12, endToken: 0)
        for tokens in [[], [3], [1, 11, 1, 10], [9, 9]] as [[Token]] {
            #expect(try tokenizer.tokens(of: tokenizer.text(of: tokens)) == tokens)
        }
        for text in ["12 ", "1", "1  2 ", "-1 ", "01 ", "a ", " "] {
            let error = #expect(throws: TabularError.self) { try tokenizer.tokens(of: text) }
            #expect(error?.description.contains("the numbers 0 to 11") == true)
        }
    }
}
