"""A feed of drawn products, with everything that a shop's feed has."""
