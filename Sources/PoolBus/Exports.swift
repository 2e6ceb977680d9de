// Topics, policies, attributes and identities are part of this module's interface.
@_exported import Vocabulary
