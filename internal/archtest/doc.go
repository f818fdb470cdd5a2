// Package archtest holds the rules of the house as tests: which package may import which, how long a file may be,
// how packages are named, and that exported names are documented. The linter knows most of them too; these need
// nothing but Go.
package archtest
