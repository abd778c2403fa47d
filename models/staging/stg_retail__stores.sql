with

source as (

    select * from {{ source('retail', 'store') }}

),

stg_retail__stores as (

    select
        id as store_id,
        trim(address) as address,
        trim(store_pincode) as pincode,
        trim(store_manager_name) as manager_name,
        store_opening_date as opening_date,
        trim(reviews) as reviews

    from source

)

select * from stg_retail__stores
