import Testing

@testable import Replaying

@Suite struct PythonFramesTests {
  @Test func `blobs are found in any text that names them`() {
    #expect(PythonFrames.blobs(in: "") == [])
    #expect(PythonFrames.blobs(in: #"{"price":"5 $","cost":"$blo"}"#) == [])
    #expect(PythonFrames.blobs(in: #"{"type":{"$blob":"ab12"},"n":1}"#) == ["ab12"])
    #expect(
      PythonFrames.blobs(in: #"[{"$bytes":"AA=="},{"$blob":"1"},"$",{"$blob":"2"}]"#)
        == ["1", "2"])
    #expect(PythonFrames.blobs(in: #"{"$blob":"cut off"#) == [])
  }
}
