"""Claims: statements decided over independent units, each by a number of one unit and a rule fixed beforehand."""

from phenom_jax.claims.claim import Claim as Claim
from phenom_jax.claims.claim import NotTested as NotTested
from phenom_jax.claims.claim import Source as Source
from phenom_jax.claims.claim import need as need
from phenom_jax.claims.rules import above as above
from phenom_jax.claims.rules import agrees as agrees
from phenom_jax.claims.rules import below as below
from phenom_jax.claims.rules import first as first
from phenom_jax.claims.rules import mostly as mostly
from phenom_jax.claims.rules import within as within
