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
from phenom_jax.claims.runs import at as at
from phenom_jax.claims.runs import curvature as curvature
from phenom_jax.claims.runs import exponent as exponent
from phenom_jax.claims.runs import first_crossing as first_crossing
from phenom_jax.claims.runs import last as last
from phenom_jax.claims.runs import ratio as ratio
from phenom_jax.claims.runs import share as share
from phenom_jax.claims.runs import times as times
from phenom_jax.claims.runs import trend as trend
from phenom_jax.store.axes import settings as settings
