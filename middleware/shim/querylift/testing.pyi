from middleware.testing import *
