// Fixtures that nearly every file of this target uses.
@_exported import TestSupport
