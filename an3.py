import pickle,sys,numpy as np
R=pickle.load(open(sys.argv[1],"rb"))
for thr in (0.3,0.35,0.4,0.45,0.5,0.55):
  for k,v in R.items():
    row=[]
    for f in v[0]["looks"]:
      e=np.array([(x["looks"][f][1]>=thr).sum()-len(x["true"]) for x in v]); row.append(f"{f}: {np.abs(e).mean():6.1f} ({e.mean():+6.1f})")
    print(thr,k,len(v)," ".join(row))
