from middleware import *
